//! What can go wrong with coverage data and its configuration.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A fault in coverage data or its configuration; each variant has a code that docs/messages.md explains.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CovdataError {
    /// The operating system refused.
    #[error("can't {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb ("read", "delete").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `SQLite` refused, for a reason that no other variant names.
    #[error("can't {action} data file {}: {source}", path.display())]
    Sqlite {
        /// What was tried, as a verb.
        action: &'static str,
        /// The data file.
        path: PathBuf,
        /// `SQLite`'s reason.
        source: rusqlite::Error,
    },
    /// The shard's path no longer names the file that was opened: somebody merged, removed or replaced it.
    #[error("shard {} was removed or replaced by someone else; its data has to go into a new shard", path.display())]
    ShardMoved {
        /// Where the shard was.
        path: PathBuf,
    },
}

impl CovdataError {
    /// The stable code of this kind of fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "PT-COVDATA-001",
            Self::Sqlite { .. } => "PT-COVDATA-002",
            Self::ShardMoved { .. } => "PT-COVDATA-003",
        }
    }
}
