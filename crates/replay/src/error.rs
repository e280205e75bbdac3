use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a replay could not be done, or had to be broken off.
///
/// A step or a job that goes wrong is no error but a result: see [`crate::Replay`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A preset file breaks the format.
    #[error("preset {path}: {source}", path = path.display())]
    Preset {
        /// The file.
        path: PathBuf,
        /// What the TOML reader said, with line and column.
        source: Box<toml::de::Error>,
    },
    /// No preset of that name comes with the program.
    #[error("there is no built-in preset {name}; there are: {known}; --preset takes a file, too")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A file or folder can't be read.
    #[error("can't read {path}: {source}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder can't be written.
    #[error("can't write {path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is no base URL.
    #[error(
        "{text:?} is no base URL of an app: {why}; give --base-url or PROFILE_PLAYBACK_BASE_URL, such as http://127.0.0.1:8080/weppcloud"
    )]
    BaseUrl {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A recorded request can't be sent again.
    #[error("{path}:{line}: this request can't be replayed: {why}", path = path.display())]
    Unplayable {
        /// The recording.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What is missing, and what to do about it.
        why: String,
    },
    /// Nothing in the recording can be replayed.
    #[error("{path}: no request was answered with 2xx and is not skipped by preset {preset}: there is nothing to replay", path = path.display())]
    NothingToReplay {
        /// The recording.
        path: PathBuf,
        /// The preset.
        preset: String,
    },
    /// The profile has a snapshot and there is no place to lay it out.
    #[error("profile {slug} comes with a snapshot ({snapshot}), and there is no place to lay it out: set PROFILE_PLAYBACK_RUN_ROOT to the directory that the app takes sandboxes from", snapshot = snapshot.display())]
    NoRunRoot {
        /// The profile.
        slug: String,
        /// Its `run/`.
        snapshot: PathBuf,
    },
    /// The HTTP client can't be set up.
    #[error("can't set up the HTTP client: {why}")]
    Client {
        /// What is wrong.
        why: String,
    },
    /// The app does not answer at all.
    #[error("the app is not reachable: {method} {url}: {why}; is it running, and is the base URL right?")]
    Unreachable {
        /// The HTTP method.
        method: String,
        /// The URL.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The app did not let the player in.
    #[error("log-in failed at {url}: {why}")]
    LogIn {
        /// The log-in page.
        url: String,
        /// What happened, and what to do.
        why: String,
    },
    /// No agent answered the first traced request.
    #[error(
        "no agent in the web process at {url}: step {step} was answered {status} without X-Profile-Trace-Status; start the app with ENABLE_PROFILE_COVERAGE=1 and playtrace-agent in its app factory, or have a proxy in between pass X-Profile-Trace and X-Profile-Trace-Status on"
    )]
    NoAgent {
        /// Where.
        url: String,
        /// The step.
        step: u32,
        /// The HTTP status.
        status: u16,
    },
    /// The agent answered that it does not trace.
    #[error("the agent in the web process at {url} does not trace: {reason}")]
    AgentOff {
        /// Where.
        url: String,
        /// Its reason.
        reason: String,
    },
    /// A profile can't be forked or archived.
    #[error("profile {slug}: no {flow} of it can be asked for: {why}")]
    Flow {
        /// The profile.
        slug: String,
        /// `fork` or `archive`.
        flow: &'static str,
        /// What is missing or wrong.
        why: String,
    },
    /// The ledger can't be written.
    #[error(transparent)]
    Ledger(#[from] playtrace_ledger::LedgerError),
}

impl ReplayError {
    /// The stable code of this message, explained in `docs/messages.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Preset { .. } => "PT-REPLAY-001",
            Self::UnknownPreset { .. } => "PT-REPLAY-002",
            Self::Read { .. } => "PT-REPLAY-003",
            Self::Write { .. } => "PT-REPLAY-004",
            Self::BaseUrl { .. } => "PT-REPLAY-005",
            Self::Unplayable { .. } => "PT-REPLAY-006",
            Self::NothingToReplay { .. } => "PT-REPLAY-007",
            Self::NoRunRoot { .. } => "PT-REPLAY-008",
            Self::Client { .. } => "PT-REPLAY-009",
            Self::Unreachable { .. } => "PT-REPLAY-010",
            Self::LogIn { .. } => "PT-REPLAY-011",
            Self::NoAgent { .. } => "PT-REPLAY-012",
            Self::AgentOff { .. } => "PT-REPLAY-013",
            Self::Flow { .. } => "PT-REPLAY-014",
            Self::Ledger(error) => error.code(),
        }
    }
}
