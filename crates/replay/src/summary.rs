//! What is kept of a run: `$PROFILE_PLAYBACK_ROOT/_runs/<token>.json`.

use std::path::{Path, PathBuf};

use playtrace_model::{RunToken, Slug, Verdict};
use serde::Serialize;

use crate::ReplayError;
use crate::flow::FlowResult;
use crate::jobs::JobResult;
use crate::plan::Plan;
use crate::player::Replay;
use crate::step::StepResult;

/// The folder of run summaries under the profiles' root.
pub const RUNS_DIR: &str = "_runs";

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Nothing was sent (`--dry-run`).
    Planned,
    /// Each step and job did what the recording did.
    Passed,
    /// A step or a job went wrong.
    Failed,
    /// The run could not be done, or was broken off.
    Aborted,
}

/// The summary of a run. No secrets are in it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Version of this format.
    pub version: u32,
    /// The profile.
    pub profile: Slug,
    /// The slug under which it was traced, where that is another one: a flow's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traced_as: Option<Slug>,
    /// The run's token: names this file, the sandbox, and the run in ledger and headers.
    pub token: RunToken,
    /// The id of the run that was played against: the sandbox's, or the recorded one where nothing replaces it.
    pub run_id: Option<String>,
    /// The sandbox's id.
    pub sandbox_run_id: Option<String>,
    /// The recorded run's id.
    pub source_run_id: Option<String>,
    /// Whether nothing was sent.
    pub dry_run: bool,
    /// The app.
    pub base_url: String,
    /// The sandbox directory, where the player knows one.
    pub run_dir: Option<PathBuf>,
    /// The result for people.
    pub report: String,
    /// Each request with its answer.
    pub requests: Vec<StepResult>,
    /// Each job that was waited for.
    pub jobs: Vec<JobResult>,
    /// What came of the flow, if this was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowResult>,
    /// Where the merged coverage was saved.
    pub coverage_artifact: Option<PathBuf>,
    /// The command that started the run, without secrets.
    pub command: String,
    /// When the run began, RFC 3339.
    pub timestamp: String,
    /// How it went.
    pub outcome: RunOutcome,
    /// What is known about the completeness of its coverage; none if it was not traced.
    pub verdict: Option<Verdict>,
    /// Why it could not be done, if so.
    pub error: Option<String>,
    /// How many jobs ran, those started by jobs included.
    pub job_count: usize,
    /// The exit code of a command that did this run.
    pub exit_code: u8,
}

impl Summary {
    /// The summary of a run that has not begun.
    pub fn planned(plan: &Plan, token: RunToken, command: String, timestamp: String) -> Self {
        Self {
            version: 1,
            profile: plan.profile.clone(),
            traced_as: Some(plan.slug.clone()).filter(|slug| *slug != plan.profile),
            token,
            run_id: plan
                .sandbox_run_id
                .clone()
                .filter(|_| plan.source_run_id.is_some())
                .or_else(|| plan.source_run_id.clone()),
            sandbox_run_id: plan.sandbox_run_id.clone(),
            source_run_id: plan.source_run_id.clone(),
            dry_run: true,
            base_url: plan.base.as_str().to_owned(),
            run_dir: plan.run_dir(),
            report: format!("{} requests planned", plan.step_count()),
            requests: Vec::new(),
            jobs: Vec::new(),
            flow: None,
            coverage_artifact: None,
            command,
            timestamp,
            outcome: RunOutcome::Planned,
            verdict: None,
            error: None,
            job_count: 0,
            exit_code: 0,
        }
    }

    /// Takes in how the replay went.
    pub fn played(&mut self, replay: &Replay) {
        let failures = replay.failures();
        self.dry_run = false;
        self.outcome = if failures.is_empty() { RunOutcome::Passed } else { RunOutcome::Failed };
        self.requests.clone_from(&replay.steps);
        self.jobs.clone_from(&replay.jobs);
        self.flow.clone_from(&replay.flow);
        self.count_jobs(replay.job_count());
        for failure in failures {
            self.report.push_str("\nfailed: ");
            self.report.push_str(&failure);
        }
    }

    /// Takes a better count of jobs: the app's records also know those that no answer named.
    pub fn count_jobs(&mut self, jobs: usize) {
        self.job_count = jobs;
        let counts = format!("{} requests, {jobs} jobs", self.requests.len());
        self.report = match self.report.split_once('\n') {
            Some((_, failures)) => format!("{counts}\n{failures}"),
            None => counts,
        };
    }

    /// Takes in why the run was broken off.
    pub fn aborted(&mut self, error: String) {
        self.dry_run = false;
        self.outcome = RunOutcome::Aborted;
        self.report = format!("broken off: {error}");
        self.error = Some(error);
    }

    /// Writes the summary into the runs' folder under the profiles' root; a reader sees all of it or nothing.
    pub fn write(&self, profiles_root: &Path) -> Result<PathBuf, ReplayError> {
        let dir = profiles_root.join(RUNS_DIR);
        let (path, part) =
            (dir.join(format!("{}.json", self.token)), dir.join(format!(".{}.json.part", self.token)));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReplayError::Write { path, source }
        };
        fs_err::create_dir_all(&dir).map_err(failed(&dir))?;
        // A summary holds texts and numbers only: it always is JSON.
        let mut text =
            serde_json::to_string_pretty(self).map_err(std::io::Error::from).map_err(failed(&path))?;
        text.push('\n');
        fs_err::write(&part, text).map_err(failed(&part))?;
        fs_err::rename(&part, &path).map_err(failed(&path))?;
        Ok(path)
    }
}
