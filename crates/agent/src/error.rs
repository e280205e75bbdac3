//! What can go wrong in the agent, apart from what its rooms say themselves.

use playtrace_covdata::CovdataError;
use playtrace_ledger::LedgerError;
use playtrace_model::{InvalidRunToken, InvalidSlug};
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
    /// The stable code of this message, explained in docs/messages.md.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Slug(_) => "PT-AGENT-001",
            Self::Run(_) => "PT-AGENT-002",
            Self::Monitoring { .. } => "PT-AGENT-003",
            Self::Ledger(error) => error.code(),
            Self::Covdata(error) => error.code(),
            Self::SwitchedOff { .. } => "PT-AGENT-004",
            Self::NotConfigured => "PT-AGENT-005",
            Self::Engine { .. } => "PT-AGENT-006",
        }
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

/// `AgentError` and `PyErr` both become exceptions.
pub(crate) fn raise(error: &AgentError) -> PyErr {
    let message = format!("{error} [{}]", error.code());
    match error {
        AgentError::Slug(_) | AgentError::Run(_) => PyValueError::new_err(message),
        AgentError::SwitchedOff { .. } => SwitchedOffError::new_err(message),
        _ => TraceError::new_err(message),
    }
}
