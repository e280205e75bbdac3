//! What a process is to a run, and how it records.

use serde::{Deserialize, Serialize};

/// What a process does for a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers requests.
    Web,
    /// Takes jobs from a queue.
    Worker,
    /// Runs one job (RQ's work horse).
    Job,
    /// Was started by traced code.
    Child,
    /// Replays the profile.
    Player,
    /// Merges shards.
    Merger,
    /// Anything else (a script that uses `playtrace_agent.trace`).
    Other,
}

/// How finely an agent records (`PROFILE_COVERAGE_GRANULARITY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Lines by profile.
    #[default]
    Profile,
    /// Lines by profile, functions entered by request and job.
    Steps,
    /// Lines by request and job.
    Request,
    /// Functions entered by profile; no lines.
    Symbol,
}

impl Granularity {
    /// Whether it is the one that a record without the field has.
    pub fn is_profile(&self) -> bool {
        *self == Self::Profile
    }

    /// Whether a request or job has a context of its own.
    pub fn by_unit(self) -> bool {
        matches!(self, Self::Steps | Self::Request)
    }

    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Steps => "steps",
            Self::Request => "request",
            Self::Symbol => "symbol",
        }
    }

    /// The granularity that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Profile, Self::Steps, Self::Request, Self::Symbol]
            .into_iter()
            .find(|known| known.as_str() == word)
    }
}

/// What reports lines to an agent (`PROFILE_COVERAGE_ENGINE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The interpreter's `sys.monitoring`.
    #[default]
    Native,
    /// coverage.py's trace function.
    Coverage,
}

impl Engine {
    /// Whether it is the one that a record without the field has.
    pub fn is_native(&self) -> bool {
        *self == Self::Native
    }

    /// The engine that a word of the setting names.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "native" => Some(Self::Native),
            "coverage" => Some(Self::Coverage),
            _ => None,
        }
    }
}

/// How an agent records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recording {
    /// How finely.
    pub granularity: Granularity,
    /// By what.
    pub engine: Engine,
}
