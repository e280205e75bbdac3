//! What client and service say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The header of a streamed run that names its result.
pub const TOKEN_HEADER: &str = "x-profile-playback-token";
/// Lines of the stream that belong on the client's stderr begin so.
pub const CONTEXT_MARK: &str = "[context] ";
/// The line that names the merged file begins so.
pub const SAVED_MARK: &str = "Profile coverage saved to ";
/// The last part of the stream begins so.
pub const VERDICT_MARK: &str = "Verdict: ";

/// The JSON of `POST /run/{profile}`, `/fork/{profile}` and `/archive/{profile}`. Keys that are not known are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunBody {
    /// Show the plan; send, delete and write nothing.
    pub dry_run: bool,
    /// The app; the service's own setting if not said.
    pub base_url: Option<String>,
    /// The value of a `Cookie` header, instead of a log-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Stream the context of each request as well.
    pub verbose: bool,
    /// Trace the code.
    pub trace_code: bool,
    /// Where the service puts a copy of the merged file.
    pub coverage_dir: Option<PathBuf>,
    /// The coverage configuration that the run is meant for.
    pub coverage_config: Option<PathBuf>,
    /// Whether the stream has terminal colours; the service's own setting if not said.
    pub color: Option<bool>,
    /// Whether the run's shards stay after the merge; they do if not said.
    pub keep_shards: Option<bool>,
    /// Seconds for which each job is waited for; the preset's time if not said.
    pub job_timeout: Option<u64>,
    /// The command that the person typed, without secrets.
    pub command: Option<String>,
    /// What flows take besides.
    #[serde(flatten)]
    pub flow: FlowBody,
}

/// What `POST /fork/{profile}` and `/archive/{profile}` take besides, spelt as WEPPcloud's service does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowBody {
    /// Fork: take the fire out of the copy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub undisturbify: bool,
    /// Fork: the copy's run id; the preset's if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_runid: Option<String>,
    /// Archive: is kept with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Seconds for which the job is waited for; [`FlowBody::USUAL_TIMEOUT`] if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

impl FlowBody {
    /// How long a fork or an archive is waited for, in seconds, unless something else is said.
    pub const USUAL_TIMEOUT: u64 = 600;
}

/// The JSON of a request that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code of the message.
    pub code: String,
    /// What is wrong, in a sentence.
    pub error: String,
    /// The exit code of a command that was refused so.
    pub exit_code: u8,
}

/// The parts of a run's summary that a client acts on.
#[derive(Debug, Clone, Deserialize)]
pub struct RunResult {
    /// The run's token.
    pub token: String,
    /// `planned`, `passed`, `failed`, `aborted`; `running` while it goes on.
    pub outcome: String,
    /// How a command that did this run ends.
    #[serde(default)]
    pub exit_code: u8,
    /// What is known about its coverage, if it was traced.
    #[serde(default)]
    pub verdict: Option<playtrace_model::Verdict>,
    /// Why it could not be done, if so.
    #[serde(default)]
    pub error: Option<String>,
    /// Where the merged coverage is, as the player sees it.
    #[serde(default)]
    pub coverage_artifact: Option<PathBuf>,
    /// Each request; only what tells a hiccup from a failure.
    #[serde(default)]
    pub requests: Vec<RequestResult>,
    /// How many jobs ran.
    #[serde(default)]
    pub job_count: usize,
    /// When it began.
    #[serde(default)]
    pub timestamp: String,
    /// The command that started it.
    #[serde(default)]
    pub command: String,
}

/// A request of a run's summary.
#[derive(Debug, Clone, Deserialize)]
pub struct RequestResult {
    /// The HTTP status; none if there was no answer.
    pub status: Option<u16>,
    /// What went wrong.
    #[serde(default)]
    pub failure: Option<String>,
}

impl RunResult {
    /// The one word for a table: the verdict, or the outcome of a run that was not traced.
    pub fn word(&self) -> &str {
        self.verdict.as_ref().map_or(&self.outcome, |verdict| verdict.status.as_str())
    }

    /// Whether a request failed in a way that another try may not: no answer, or one from a proxy.
    pub fn is_flaky(&self) -> bool {
        self.requests
            .iter()
            .any(|request| request.failure.is_some() && matches!(request.status, None | Some(502..=504)))
    }
}

impl From<&playtrace_replay::Summary> for RunResult {
    fn from(summary: &playtrace_replay::Summary) -> Self {
        use playtrace_replay::RunOutcome;
        let outcome = match summary.outcome {
            RunOutcome::Planned => "planned",
            RunOutcome::Passed => "passed",
            RunOutcome::Failed => "failed",
            RunOutcome::Aborted => "aborted",
        };
        let request = |step: &playtrace_replay::StepResult| RequestResult {
            status: step.status,
            failure: step.failure.clone(),
        };
        Self {
            token: summary.token.to_string(),
            outcome: outcome.to_owned(),
            exit_code: summary.exit_code,
            verdict: summary.verdict.clone(),
            error: summary.error.clone(),
            coverage_artifact: summary.coverage_artifact.clone(),
            requests: summary.requests.iter().map(request).collect(),
            job_count: summary.job_count,
            timestamp: summary.timestamp.clone(),
            command: summary.command.clone(),
        }
    }
}
