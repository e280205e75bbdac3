//! The player for people and programs: one run from profile to verdict, on the command line or behind HTTP.
//!
//! [`engine`] does a run; [`server`] offers it on a port, [`client`] asks for it there. Both sides speak [`api`].

pub mod api;
pub mod artifact;
pub mod batch;
pub mod client;
pub mod console;
pub mod engine;
mod failures;
pub mod server;
pub mod settings;
mod stream;
pub mod tracker;
