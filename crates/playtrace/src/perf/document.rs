//! What is kept of a measurement: `artifacts/perf-baseline.json`, format `playtrace-perf` (docs/schema/perf.schema.json).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Arm;
use super::estimate::Estimate;
use super::judge::State;
use crate::documents::read_json;
use crate::exit::Exit;
use crate::messages::Failure;

/// A whole measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `playtrace-perf`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// The version of the program that wrote it.
    pub playtrace: String,
    /// When it was done.
    pub measured: Timestamp,
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// The worst of the profiles' states.
    pub state: State,
    /// Each profile, in the order in which they were asked for.
    pub profiles: Vec<ProfileCost>,
}

/// The player's machine; the app's as well where both are one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture.
    pub system: String,
    /// How many processors this process may use.
    pub processors: usize,
    /// The load average of the last minute, before and after; none where the system does not tell.
    pub load: Option<[f64; 2]>,
}

/// How it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Rounds that count.
    pub rounds: usize,
    /// So many at most where the machine is noisy; absent in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rounds: Option<usize>,
    /// How far two twins were to differ at most (0.05 is 5 %).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// The confidence of each interval.
    pub confidence: f64,
    /// The budget of a traced replay, as a ratio.
    pub max_overhead: f64,
    /// The budget of an agent that is on and traces nothing, as a ratio.
    pub max_idle_overhead: f64,
    /// The ways that were measured.
    pub arms: Vec<Arm>,
}

/// What tracing costs one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileCost {
    /// Its slug.
    pub profile: String,
    /// Whether the budgets held.
    pub state: State,
    /// Why not, in sentences.
    pub reasons: Vec<String>,
    /// Rounds that count.
    pub rounds: usize,
    /// All requests together, the whole replay, and each endpoint, the costliest first; empty where it failed.
    pub rows: Vec<Row>,
    /// Requests that took far longer than usual; they count as the longest that is not far.
    pub outliers: Vec<Outlier>,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All requests of a replay.
    Requests,
    /// The whole replay, waiting for jobs included.
    Replay,
    /// The requests of one endpoint.
    Endpoint,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    /// Its name, for people: of an endpoint, the method and the template of its path.
    pub name: String,
    /// How many requests of a replay are in it.
    pub requests: usize,
    /// The median of the rounds in each way, in seconds.
    pub seconds: BTreeMap<Arm, f64>,
    /// A twin of what the others are compared with: 1, but for noise.
    pub control: Estimate,
    /// Traced, as a ratio of the app without the agent; where that was not measured, of the idle agent.
    pub traced: Estimate,
    /// The idle agent, as a ratio of the app without; none where that was not measured.
    pub idle: Option<Estimate>,
    /// Whether the budgets held, where this row has them: endpoints have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judged: BTreeMap<Arm, State>,
}

/// A request that took far longer than its like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlier {
    /// The way.
    pub arm: Arm,
    /// The round, counted from 1.
    pub round: usize,
    /// The step, counted from 1; none for the whole replay.
    pub step: Option<usize>,
    /// The endpoint, or `replay`.
    pub name: String,
    /// What it took.
    pub seconds: f64,
    /// The median of its like.
    pub usual: f64,
}

impl Document {
    /// The format's name.
    pub const FORMAT: &'static str = "playtrace-perf";
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// Reads an earlier measurement.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let not_ours = |what: String| {
            Failure::new(
                Exit::BadInput,
                "PT-PERF-004",
                format!("{} is not a measurement that this program reads: {what}", path.display()),
            )
            .help("it is written by `playtrace perf`; a later version's needs that version")
        };
        let json: serde_json::Value = read_json(path)?;
        let head = Head::deserialize(&json).map_err(|error| not_ours(error.to_string()))?;
        if head.format != Self::FORMAT || head.version != Self::VERSION {
            return Err(not_ours(format!("format {:?}, version {}", head.format, head.version)));
        }
        Self::deserialize(json).map_err(|error| not_ours(error.to_string()))
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> Result<String, Failure> {
        let json = serde_json::to_string_pretty(self).map_err(|error| {
            Failure::new(
                Exit::Io,
                "PT-PERF-005",
                format!("the measurement can't be written as JSON: {error}"),
            )
        })?;
        Ok(json + "\n")
    }

    /// How a command that measured this ends.
    pub const fn exit(&self) -> Exit {
        match self.state {
            State::Held => Exit::Success,
            State::Inconclusive => Exit::Inconclusive,
            State::Broken | State::Failed => Exit::Failed,
        }
    }

    /// A profile's part.
    pub fn profile(&self, slug: &str) -> Option<&ProfileCost> {
        self.profiles.iter().find(|cost| cost.profile == slug)
    }
}

impl ProfileCost {
    /// The row of a kind that is there once.
    pub fn row(&self, kind: Kind) -> Option<&Row> {
        self.rows.iter().find(|row| row.kind == kind)
    }
}
