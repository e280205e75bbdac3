//! `<slug>.steps.json`: which functions each request and job of a run entered, beside `<slug>.coverage`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use playtrace_analysis::{RunSteps, StepEntries, StepInfo, StepKind};
use playtrace_ledger::judge::Entered;
use playtrace_ledger::{Record, RunLedger, UnitKind};
use playtrace_model::{RunToken, Slug};

use crate::messages::Failure;
use crate::whole_file::{StagedFile, stage_whole};

use super::merge::unwritable;

/// The file that belongs to a merged data file: `x.coverage` → `x.steps.json`.
pub fn steps_path_of(data_file: &Path) -> PathBuf {
    data_file.with_extension("steps.json")
}

/// The steps of a run.
#[derive(Debug)]
pub(super) struct Steps(RunSteps);

/// The file beside data, ready to appear with it.
#[derive(Debug)]
pub(super) enum StagedSteps {
    Write(StagedFile),
    /// Nothing was entered: none may lie there, it would be an earlier run's.
    Remove(PathBuf),
}

impl Steps {
    /// Those that the ledger tells of.
    pub(super) fn of((slug, run): (&Slug, &RunToken), entered: &[Entered], ledger: &RunLedger) -> Self {
        let failures = failures(ledger);
        Self(RunSteps {
            format: RunSteps::FORMAT.to_owned(),
            version: RunSteps::VERSION,
            profile: slug.to_string(),
            run: run.to_string(),
            steps: entered.iter().map(|step| entries(step, &failures)).collect(),
        })
    }

    /// Adds what the file `path` says of the same run. What can't be read there is no steps file of ours, and adds nothing.
    pub(super) fn add_those_beside(&mut self, path: &Path, run: &RunToken) {
        let text = fs_err::read_to_string(path).ok();
        let Some(earlier) = text.and_then(|text| serde_json::from_str::<RunSteps>(&text).ok()) else {
            return;
        };
        if earlier.run != run.as_str() || earlier.check(&path.display().to_string()).is_err() {
            return;
        }
        for step in earlier.steps {
            match self.0.steps.iter_mut().find(|known| known.scope == step.scope) {
                None => self.0.steps.push(step),
                Some(known) => {
                    for (path, lines) in step.functions {
                        let all: BTreeSet<u32> =
                            known.functions.get(&path).into_iter().flatten().copied().chain(lines).collect();
                        known.functions.insert(path, all.into_iter().collect());
                    }
                }
            }
        }
        self.0.steps.sort_by(|a, b| a.scope.cmp(&b.scope));
    }

    /// Writes the file beside `data_file`, but for its name.
    pub(super) fn stage(&self, data_file: &Path) -> Result<StagedSteps, Failure> {
        let path = steps_path_of(data_file);
        if self.0.steps.iter().all(|step| step.functions.is_empty()) {
            return Ok(StagedSteps::Remove(path));
        }
        let text = playtrace_report::json::to_json(&self.0)?;
        stage_whole(&path, text.as_bytes()).map(StagedSteps::Write).map_err(|error| unwritable(&error))
    }
}

impl StagedSteps {
    /// Lets it appear, or what must not lie there disappear.
    pub(super) fn place(self) -> Result<(), Failure> {
        let done = match self {
            Self::Write(file) => file.place(),
            Self::Remove(path) => match fs_err::remove_file(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        done.map_err(|error| unwritable(&error))
    }
}

/// The player's sentences about steps and jobs that went wrong: each begins with what it is about.
fn failures(ledger: &RunLedger) -> Vec<&str> {
    let records = ledger.entries().map(|entry| &entry.record);
    records
        .filter_map(|record| match record {
            Record::End { failures, .. } => Some(failures),
            _ => None,
        })
        .flatten()
        // Several jobs of one tree share a sentence.
        .flat_map(|failure| failure.split("; "))
        .collect()
}

fn entries(step: &Entered, failures: &[&str]) -> StepEntries {
    let Entered { scope, kind, step: number, job, what, outcome, functions } = step;
    StepEntries {
        scope: scope.clone(),
        what: StepInfo {
            kind: match kind {
                UnitKind::Request => StepKind::Request,
                UnitKind::Job => StepKind::Job,
                UnitKind::Child => StepKind::Child,
                UnitKind::Thread => StepKind::Thread,
                UnitKind::Block => StepKind::Block,
            },
            step: *number,
            job: job.clone(),
            what: what.clone(),
            outcome: outcome.clone(),
            failed: failed(step, failures),
        },
        functions: functions.iter().map(|(path, lines)| (path.clone(), lines.iter().collect())).collect(),
    }
}

/// Whether a step or job is known to have failed.
///
/// A server's error is a failure whatever was recorded; an answer that refuses, and none at all, where the player says so: the
/// recording may have been refused too. Of a job, the app's word counts, or the player's (a job that was stopped, say).
fn failed(step: &Entered, failures: &[&str]) -> bool {
    let named = |name: &str| failures.iter().any(|failure| failure.starts_with(name));
    match (step.kind, step.step, &step.job) {
        (UnitKind::Request, Some(number), _) => {
            match step.outcome.as_ref().and_then(|status| status.parse::<u16>().ok()) {
                Some(500..) => true,
                Some(400..) | None => named(&format!("step {number} (")),
                Some(_) => false,
            }
        }
        (UnitKind::Job, _, Some(job)) => {
            step.outcome.as_deref() == Some("failed") || named(&format!("job {job} "))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn request(outcome: Option<&str>) -> Entered {
        Entered {
            scope: "3".to_owned(),
            kind: UnitKind::Request,
            step: Some(3),
            job: None,
            what: "GET /".to_owned(),
            outcome: outcome.map(str::to_owned),
            functions: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_is_known_to_have_failed_failed() {
        let said = ["step 3 (GET /): 404, recorded 200"];
        let other = ["step 33 (GET /): 404, recorded 200", "job 3 (f) failed"];
        for (outcome, failures, expected) in [
            (Some("500"), &[][..], true),
            (Some("404"), &said[..], true),
            (Some("404"), &other[..], false),
            (Some("200"), &said[..], false),
            (None, &said[..], true),
            (None, &[][..], false),
        ] {
            assert_eq!(failed(&request(outcome), failures), expected, "{outcome:?} {failures:?}");
        }
        let job = |outcome: Option<&str>| Entered {
            scope: "job:f:j1".to_owned(),
            kind: UnitKind::Job,
            step: None,
            job: Some("j1".to_owned()),
            ..request(outcome)
        };
        assert!(failed(&job(Some("failed")), &[]));
        assert!(failed(&job(Some("stopped")), &["job j1 (f) stopped"]));
        assert!(!failed(&job(Some("finished")), &["job j10 (f) failed"]));
        assert!(!failed(&job(None), &[]));
    }
}
