//! Exit codes.

use std::process::ExitCode;

/// How the program ends. The numbers are a contract (`docs/messages.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything went as asked.
    Success = 0,
    /// A verdict is failed, or a check found a difference.
    Failed = 1,
    /// The command line is wrong (clap uses this code as well).
    Usage = 2,
    /// Done, but not with everything: a verdict is partial, a shard could not be merged.
    Partial = 3,
    /// An input (profile, preset, config, data file) is not what it should be.
    BadInput = 4,
    /// The app, the service or a job's queue can't be reached, or the log-in was refused.
    Unreachable = 5,
    /// A file could not be written or read.
    Io = 6,
    /// A measurement that was made, and that can't tell: the machine is too noisy for the question.
    Inconclusive = 7,
    /// Broken off by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
