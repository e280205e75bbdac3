//! What was promised and what arrived.
//!
//! Shards can't prove that nothing is missing: a process that is killed before its first write leaves none.
//! So every process that takes part in a run (the agent in web processes, workers and children; the player;
//! whoever merges) appends records to a file of its own under `<coverage dir>/.playtrace/<slug>/<run>/`:
//! promises before the work, proofs after it. [`judge`](judge::judge) turns them into a verdict.
//!
//! The records of finished work carry the lines that it added, so a shard that was combined by hand or lost
//! takes nothing with it ([`judge::Judgement::lines`]).
//!
//! This crate refuses to know SQLite, Python and HTTP. `docs/adr/0002-formats-on-disk.md` is the format's contract.

mod boots;
mod error;
mod frame;
mod journal;
pub mod judge;
mod layout;
mod process;
mod quick;
mod read;
mod record;
mod recording;
mod room;
mod seen;
pub mod shared;
pub mod unflushed;
mod work;
mod writer;

pub use boots::{EnabledProcess, Setup, enabled_processes};
pub use error::LedgerError;
pub use frame::{Damage, decode, encode, encode_into};
pub use journal::Journal;
pub use layout::Layout;
pub use process::ProcessId;
pub use read::{RunLedger, Unflushed};
pub use record::{Entry, NewLines, Outcome, Record, UnitKind, VERSION};
pub use recording::{Engine, Granularity, Recording, Role};
pub use room::Occupied;
pub use seen::Seen;
pub use writer::{Extent, Writer};
