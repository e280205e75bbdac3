use std::io;
use std::path::PathBuf;

use playtrace_model::{InvalidSlug, Slug};
use thiserror::Error;

/// Why a recorded session can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The text can't name a profile.
    #[error("{text:?} can't name a profile: {source}")]
    BadSlug {
        /// The refused text.
        text: String,
        /// What is wrong with it.
        source: InvalidSlug,
    },
    /// There is no such profile.
    #[error(
        "there is no profile {slug} in {root} (looked for {slug}/capture/events.jsonl){hint}",
        hint = suggestion.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default()
    )]
    Unknown {
        /// What was asked for.
        slug: Slug,
        /// The folder that holds the profiles.
        root: PathBuf,
        /// A profile with nearly that name.
        suggestion: Option<Slug>,
    },
    /// A file or folder of the profile can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the recording is no event.
    #[error("{path}:{line}: not a recorded event: {source}; repair or delete the line, or record the session again", path = path.display())]
    Line {
        /// The recording.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// Two events that can't both be true.
    #[error("{path}:{line}: {what}; the recording contradicts itself, record the session again", path = path.display())]
    Contradiction {
        /// The recording.
        path: PathBuf,
        /// The later of the two lines, counted from 1.
        line: usize,
        /// A sentence about both.
        what: String,
    },
    /// There is no request in the recording.
    #[error("{path} holds no request: there is nothing to replay", path = path.display())]
    Empty {
        /// The recording.
        path: PathBuf,
    },
}

impl ProfileError {
    /// The stable code of this message, explained in `docs/messages.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadSlug { .. } => "PT-PROFILE-001",
            Self::Unknown { .. } => "PT-PROFILE-002",
            Self::Read { .. } => "PT-PROFILE-003",
            Self::Line { .. } => "PT-PROFILE-004",
            Self::Contradiction { .. } => "PT-PROFILE-005",
            Self::Empty { .. } => "PT-PROFILE-006",
        }
    }
}
