//! What can go wrong in the agent, apart from what its rooms say themselves.

use playtrace_covdata::CovdataError;
use playtrace_grant::{GrantError, Refusal};
use playtrace_ledger::LedgerError;
use playtrace_model::{InvalidRunToken, InvalidSlug, Slug};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use thiserror::Error;

/// Why work is not traced. Every message ends up in the log and, for a request, in its
/// `X-Profile-Trace-Status`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum AgentError {
    /// The slug can't be one.
    #[error("{0}")]
    Slug(#[from] InvalidSlug),
    /// The run token can't be one.
    #[error("{0}")]
    Run(#[from] InvalidRunToken),
    /// The header `X-Profile-Trace` names no profile. Nothing of a header is in any message: it may hold what nobody is to see.
    #[error("X-Profile-Trace: {}", without_text(.0))]
    HeaderSlug(InvalidSlug),
    /// `X-Profile-Trace-Run` names no run.
    #[error(
        "X-Profile-Trace-Run is not a run token: 1 to 64 letters, digits, '-' or '_', the first a letter or a digit"
    )]
    HeaderRun,
    /// `X-Profile-Trace-Step` is no step.
    #[error("X-Profile-Trace-Step is not a step: a whole number of nine digits at most")]
    HeaderStep,
    /// Who asks may not have anything traced.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// What is to be asked of clients can't be.
    #[error("{0}")]
    Grant(#[from] GrantError),
    /// There is no room for more.
    #[error("a limit is reached, and nothing new is traced: {limit}")]
    Full {
        /// Which one.
        limit: String,
    },
    /// `sys.monitoring` is not there, or has no two free tools.
    #[error("{reason}")]
    Monitoring {
        /// What is missing.
        reason: String,
    },
    /// The coverage engine traces other work just now, or can't trace where this work runs.
    #[error("{reason}")]
    Engine {
        /// What keeps it from that.
        reason: String,
    },
    /// The ledger can't be written: without a promise on disk nothing could be proven.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// A shard can't be written, or the coverage configuration can't be read.
    #[error("{0}")]
    Covdata(#[from] CovdataError),
    /// An earlier fault switched this run's tracing off in this process.
    #[error("switched off in this process: {reason}")]
    SwitchedOff {
        /// The earlier fault.
        reason: String,
    },
    /// Called before `configure`.
    #[error("the agent is not configured")]
    NotConfigured,
}

impl AgentError {
    /// What people are told.
    pub(crate) fn told(&self) -> String {
        format!("{self} [{}]", self.code())
    }

    /// The stable code of this message, explained in docs/messages.md.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Slug(_) | Self::HeaderSlug(_) => "PT-AGENT-001",
            Self::Run(_) | Self::HeaderRun => "PT-AGENT-002",
            Self::HeaderStep => "PT-AGENT-006",
            Self::Refused(refusal) => refusal.code(),
            Self::Grant(error) => error.code(),
            Self::Full { .. } => "PT-AGENT-007",
            Self::Monitoring { .. } => "PT-AGENT-003",
            Self::Ledger(error) => error.code(),
            Self::Covdata(error) => error.code(),
            Self::SwitchedOff { .. } => "PT-AGENT-004",
            Self::NotConfigured => "PT-AGENT-005",
            Self::Engine { .. } => "PT-AGENT-008",
        }
    }
}

/// The same without what was written.
fn without_text(invalid: &InvalidSlug) -> String {
    match invalid {
        InvalidSlug::Character { position, .. } => format!(
            "the character at position {position} can't stand in a profile's slug; use letters, digits, '-', '_' and '.', the first one a letter, a digit or '_'"
        ),
        // Of an ASGI scope's value only a part is read: see `scope`.
        InvalidSlug::TooLong { .. } => format!("a profile's slug has at most {} characters", Slug::MAX_LEN),
        // These name nothing but what is reserved.
        known => known.to_string(),
    }
}

create_exception!(
    _native,
    TraceError,
    PyException,
    "Why work is not traced; `code` names the kind of fault."
);

create_exception!(
    _native,
    SwitchedOffError,
    TraceError,
    "An earlier fault, said already, switched the run off."
);

create_exception!(_native, FullError, TraceError, "A limit is reached; whose verdict it concerns was told.");

/// `AgentError` and `PyErr` both become exceptions.
pub(crate) fn raise(error: &AgentError) -> PyErr {
    let message = error.told();
    match error {
        AgentError::Slug(_) | AgentError::Run(_) => PyValueError::new_err(message),
        AgentError::Full { .. } => FullError::new_err(message),
        AgentError::SwitchedOff { .. } => SwitchedOffError::new_err(message),
        _ => TraceError::new_err(message),
    }
}
