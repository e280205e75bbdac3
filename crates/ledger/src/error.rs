use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a ledger could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger's directory or file can't be made.
    #[error(
        "can't write the ledger {path}: {source}; check that this user may write there (PROFILE_COVERAGE_DIR)"
    )]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record was not appended whole.
    #[error("can't append to the ledger {path}: {source}")]
    Append {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ledger's directory or a file in it can't be read.
    #[error("can't read the ledger {path}: {source}")]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record can't be put into JSON (a path that is no text, say).
    #[error("can't encode a ledger record: {source}")]
    Encode {
        /// What serde said.
        source: serde_json::Error,
    },
}

impl LedgerError {
    /// The stable code of this message, explained in `docs/messages.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Create { .. } => "PT-LEDGER-001",
            Self::Append { .. } => "PT-LEDGER-002",
            Self::Read { .. } => "PT-LEDGER-003",
            Self::Encode { .. } => "PT-LEDGER-004",
        }
    }
}
