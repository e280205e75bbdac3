//! Which lines did this context see: masks, arming policy, flush policy.
//!
//! The heart of the agent, without Python: it is told what the interpreter reports (a code object was entered, a
//! line was reached, and under which [`Token`]) and answers whether the interpreter should go on reporting that
//! place. The glue that carries both ways is the `playtrace-agent` crate.
//!
//! The one law: **a place is silenced only while every active context has it, and a context that comes later
//! gets it reported again.** `docs/adr/0003-two-monitoring-tools.md` tells why; `tests/model/` checks it
//! against naive sets and a simulated interpreter.

mod anyone;
mod code;
mod context;
mod events;
mod linewords;
mod sample;
mod sleep;
mod token;
mod tracer;
mod trail;

pub use anyone::Disarm;
pub use code::{CodeId, FileId, Way};
pub use context::{ContextId, FileLines, Wants};
pub use events::{Entry, Fresh, Lacked, Redundant};
pub use token::Token;
pub use tracer::{Activation, Arm, Rearm, Tracer};
pub use trail::{Entered, Followed, Stretch, Track, Trail};
