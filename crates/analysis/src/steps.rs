//! What each request and job of one run entered: the document beside a profile's data.

use std::collections::BTreeMap;

use playtrace_model::MeasuredPath;
use serde::{Deserialize, Serialize};

use crate::AnalysisError;
use crate::error::check_document;

/// The functions that the requests and jobs of one run entered, as they stand in `<slug>.steps.json`.
///
/// Field by field this is the steps JSON (`docs/schema/steps.schema.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSteps {
    /// [`RunSteps::FORMAT`].
    pub format: String,
    /// [`RunSteps::VERSION`].
    pub version: u32,
    /// The profile.
    pub profile: String,
    /// The run: the same as that of the data beside it.
    pub run: String,
    /// Requests and jobs, sorted by scope.
    pub steps: Vec<StepEntries>,
}

/// What one request or job entered, threads and child processes that it started included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEntries {
    /// Names it within the run: the step's number, or `job:<function>:<id>`.
    pub scope: String,
    /// What it is.
    #[serde(flatten)]
    pub what: StepInfo,
    /// File → first lines of the functions, the first decorator's where there are decorators (`co_firstlineno`).
    pub functions: BTreeMap<MeasuredPath, Vec<u32>>,
}

/// A request or job, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepInfo {
    /// What it is.
    pub kind: StepKind,
    /// Of a request: the player's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// Of a job: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// `POST /weppcloud/…`, or the job's function.
    pub what: String,
    /// The answer's HTTP status, or the app's word for the job's state; none where no player saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether it is known to have failed.
    pub failed: bool,
}

/// What a part of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// A request.
    Request,
    /// A background job.
    Job,
    /// A child process whose request or job is not known.
    Child,
    /// A thread whose request or job is not known.
    Thread,
    /// A `with playtrace_agent.trace(slug)` block.
    Block,
}

impl RunSteps {
    /// What `format` says.
    pub const FORMAT: &'static str = "playtrace-steps";
    /// The version written.
    pub const VERSION: u32 = 1;

    /// Whether this is a document that this program understands; `name` is the file's, for the error.
    pub fn check(&self, name: &str) -> Result<(), AnalysisError> {
        check_document(name, (&self.format, self.version), (Self::FORMAT, Self::VERSION))
    }
}
