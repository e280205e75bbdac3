//! What is known about the completeness of a run's data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a run's data can be trusted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that the player sent and the app started arrived, proven by manifest and ledger.
    Complete,
    /// All that was begun was ended, but no manifest says what should have been begun.
    Consistent,
    /// Data is missing; the reasons say which.
    Partial,
    /// The replay itself went wrong (a request, a job), or a slug that was owed is missing.
    Failed,
    /// The data does not belong to the source at hand, or is carried forward from an earlier night.
    Stale,
}

impl Status {
    /// The word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Consistent => "consistent",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A [`Status`] with its reasons, in plain sentences for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The status.
    pub status: Status,
    /// Why it is not better: each names the step, job or process, and what is lost. Empty for `complete`.
    pub reasons: Vec<String>,
    /// What is worth knowing and takes nothing away (a shard that was restored from the ledger, say).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Verdict {
    /// A verdict without reasons yet.
    pub const fn new(status: Status) -> Self {
        Self { status, reasons: Vec::new(), notes: Vec::new() }
    }

    /// Lowers the status to `status` if that is worse, and adds the reason.
    pub fn lower(&mut self, status: Status, reason: impl Into<String>) {
        self.status = self.status.max(status);
        self.reasons.push(reason.into());
    }
}
