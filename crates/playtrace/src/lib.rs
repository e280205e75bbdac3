//! The program: commands, the playback service, and what joins the rooms.
//!
//! One module per command under [`commands`]; everything that two of them need lies beside it. This crate alone
//! prints, asks the environment and ends the process; the libraries below it return values.

pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod doctor;
pub mod documents;
pub mod exit;
pub mod finish;
pub mod messages;
pub mod nightly;
pub mod own_runs;
pub mod perf;
pub mod service;
pub mod shard_state;
pub mod sources;
pub mod traffic;
pub mod wctl;
pub mod whole_file;

pub use cli::{Cli, Command, run};
pub use exit::Exit;
