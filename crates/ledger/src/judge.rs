//! From records to a verdict.

mod facts;
mod jobs;
mod losses;

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{ContextLabel, LineBits, LineData, MeasuredPath, SourceHash, Status, Verdict};

use self::facts::{Facts, Open};
use crate::work::{Answer, Traced};
use crate::{Outcome, RunLedger, Unflushed, UnitKind};

/// What a run's ledger proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What is missing and may yet arrive: wait and judge again. Each is also a reason of the verdict, because
    /// nothing that is pending is complete.
    pub pending: Vec<Pending>,
    /// Steps that the player sent, or, without a manifest, requests that were traced.
    pub requests: usize,
    /// Background jobs of the run.
    pub jobs: usize,
    /// Every line that the ledger holds, from all processes; see [`RunLedger::scan`].
    pub lines: LineData,
    /// Shards that the ledger names.
    pub shards: BTreeSet<String>,
    /// The content of each measured file as loaded.
    pub sources: BTreeMap<MeasuredPath, SourceHash>,
    /// Files that were loaded with different contents: `sources` has none of them.
    pub mixed_sources: BTreeSet<MeasuredPath>,
    /// With step granularity: what each request and job entered, sorted by scope.
    pub entered: Vec<Entered>,
}

/// Which functions a request or a job entered, threads and child processes that it started included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Names it within the run: the step, or `job:<function>:<id>`.
    pub scope: String,
    /// Request or job; otherwise a block or child whose request or job is not known.
    pub kind: UnitKind,
    /// Of a request: the player's step.
    pub step: Option<u32>,
    /// Of a job: its id.
    pub job: Option<String>,
    /// `POST /weppcloud/…`, or the job's function.
    pub what: String,
    /// The HTTP status of its answer, or the app's word for the job's state, as the player saw it.
    pub outcome: Option<String>,
    /// File → first lines (`co_firstlineno`) of the functions.
    pub functions: BTreeMap<MeasuredPath, LineBits>,
}

/// Something that is missing and may yet arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The verdict's reason, should it stay so.
    pub reason: String,
    /// Whether a living process is at work on it (waiting is worth while), or only a record is missing.
    pub running: bool,
}

/// Judges a run by its ledger and the shards (by file name) that exist.
///
/// **complete**: every step that the player sent, every job enqueued and every Python child spawned was opened and
/// closed. Without a manifest the best is **consistent**. **partial**: data is missing. **failed**: the replay went
/// wrong, or work ran where a slug was owed and no agent listened.
pub fn judge(ledger: &RunLedger, shards_present: &BTreeSet<String>) -> Judgement {
    let mut facts = Facts::gather(ledger);
    let mut judging = Judging {
        verdict: Verdict::new(if facts.manifest.is_some() { Status::Complete } else { Status::Consistent }),
        pending: Vec::new(),
    };
    judging.replay(&facts);
    judging.steps(&facts);
    judging.jobs(&facts);
    judging.children(&facts);
    judging.open_units(&facts);
    judging.losses(&facts, ledger);
    judging.sources(&facts);
    judging.shards(&facts, shards_present);
    judging.behind(&facts);
    judging.unflushed(&facts, ledger);
    judging.engines(&facts);
    judging.programs(&facts);
    for Unflushed { entered, .. } in &ledger.unflushed {
        facts.entered.union_with(entered);
    }
    let entered = entered(&facts);
    let (mixed, single): (Vec<_>, Vec<_>) =
        std::mem::take(&mut facts.sources).into_iter().partition(|(_, hashes)| hashes.len() > 1);
    let mut lines = std::mem::take(&mut facts.lines);
    for Unflushed { lines: more, .. } in &ledger.unflushed {
        lines.union_with(more);
    }
    Judgement {
        verdict: judging.verdict,
        pending: judging.pending,
        requests: if facts.sent.is_empty() { facts.requests } else { facts.sent.len() },
        jobs: facts.job_ids().len(),
        lines,
        entered,
        shards: facts.shards,
        sources: single
            .into_iter()
            .filter_map(|(path, mut hashes)| Some((path, hashes.pop_first()?)))
            .collect(),
        mixed_sources: mixed.into_iter().map(|(path, _)| path).collect(),
    }
}

/// The lines that no shard has, by what the ledger says: their process had more to do, and no merge came since.
pub fn behind(ledger: &RunLedger) -> LineData {
    let mut behind = LineData::new();
    for lines in Facts::gather(ledger).behind().values() {
        behind.union_with(lines);
    }
    behind
}

fn entered(facts: &Facts) -> Vec<Entered> {
    if facts.entered.is_empty() {
        // Scopes may be those of lines, of which there is one a request.
        return Vec::new();
    }
    let described = facts.scopes.iter().map(|(&scope, of)| {
        let target = of.step.and_then(|step| facts.sent.get(&step)).map(|&target| target.to_owned());
        let function = of.job.as_ref().and_then(|job| facts.enqueued.get(job)).cloned();
        let status =
            of.step.and_then(|step| facts.answered.get(&step)?.status).map(|status| status.to_string());
        let state = of.job.as_ref().and_then(|job| facts.job_states.get(job)).map(|(state, _)| state.clone());
        let functions = facts.entered.context(&ContextLabel::new(scope)).cloned().unwrap_or_default();
        Entered {
            scope: scope.to_owned(),
            kind: of.kind,
            step: of.step,
            job: of.job.clone(),
            what: target.or(function).unwrap_or_else(|| of.what.clone()),
            outcome: status.or(state),
            functions,
        }
    });
    described.collect()
}

struct Judging {
    verdict: Verdict,
    pending: Vec<Pending>,
}

impl Judging {
    fn lower(&mut self, status: Status, reason: impl Into<String>) {
        self.verdict.lower(status, reason);
    }

    /// Missing, and its record may yet come.
    fn wait_for(&mut self, reason: String) {
        self.verdict.lower(Status::Partial, reason.clone());
        self.pending.push(Pending { reason, running: false });
    }

    /// Missing, because a living process is still at it.
    fn still_running(&mut self, reason: String) {
        self.verdict.lower(Status::Partial, reason.clone());
        self.pending.push(Pending { reason, running: true });
    }

    fn replay(&mut self, facts: &Facts) {
        let Some(manifest) = &facts.manifest else { return };
        match &facts.end {
            Some((outcome, failures)) => {
                for failure in failures {
                    self.lower(Status::Failed, failure.clone());
                }
                if *outcome != Outcome::Passed && failures.is_empty() {
                    self.lower(Status::Failed, "the replay was broken off");
                }
                if *outcome == Outcome::Passed && facts.sent.len() < manifest.steps as usize {
                    self.lower(
                        Status::Partial,
                        format!("{} of {} steps were sent", facts.sent.len(), manifest.steps),
                    );
                }
            }
            None if manifest.player_alive == Some(true) => {
                self.still_running("the player is still at work".to_owned());
            }
            None => self.lower(
                Status::Partial,
                format!(
                    "the player ended after {} of {} steps, without a word",
                    facts.sent.len(),
                    manifest.steps
                ),
            ),
        }
    }

    fn steps(&mut self, facts: &Facts) {
        for (&step, what) in &facts.sent {
            let traced = facts.traced.contains(&step);
            let answer = facts.answered.get(&step);
            match answer.map(|Answer { status, traced }| (status.is_some(), traced)) {
                // No answer: the replay's own failure says so. What the app did of it is found among the open units.
                None | Some((false, _)) if traced => {}
                None => self.lower(Status::Partial, format!("data lost: step {step} ({what}) was sent and never answered")),
                Some((false, _)) => {
                    self.lower(Status::Partial, format!("data lost: step {step} ({what}) got no answer and left no trace"));
                }
                Some((true, Traced::Unsaid)) => self.lower(
                    Status::Failed,
                    format!("not traced: step {step} ({what}) was answered without an agent (no X-Profile-Trace-Status)"),
                ),
                Some((true, Traced::On)) => {
                    if !traced {
                        self.wait_for(format!(
                            "data lost: step {step} ({what}) was traced, but its process's ledger is not in this directory"
                        ));
                    }
                }
                Some((true, Traced::Other(trace))) => {
                    self.lower(Status::Partial, format!("not traced: step {step} ({what}): {trace}"));
                }
            }
        }
    }

    fn children(&mut self, facts: &Facts) {
        for (child, command) in &facts.spawned {
            if !facts.children.contains(child.as_str()) {
                self.wait_for(format!("data lost: the Python child `{command}` left no record"));
            }
        }
    }

    fn open_units(&mut self, facts: &Facts) {
        for Open { unit, writer, alive } in &facts.open {
            let name = facts.describe(unit);
            match alive {
                Some(false) => {
                    self.lower(Status::Partial, format!("data lost: {writer} ended in the middle of {name}"));
                }
                Some(true) => self.still_running(format!("{name} is still running in {writer}")),
                None => self.wait_for(format!(
                    "{name} has not ended in {writer} (which can't be looked at from here)"
                )),
            }
        }
    }

    /// What an engine can't see by its nature leaves no record: whoever reads the verdict must know of it.
    fn engines(&mut self, facts: &Facts) {
        for process in &facts.by_coverage {
            self.verdict.notes.push(format!(
                "{process} was traced by coverage.py: what a C extension runs in a context that it enters by itself is not seen \
                 (docs/explanation/limits.md)"
            ));
        }
    }

    /// A Python that such a program starts learns from its environment whose it is. Where the program has emptied that, the
    /// Python leaves no record, and neither does anything else.
    fn programs(&mut self, facts: &Facts) {
        let Some(first) = facts.programs.first() else { return };
        let what = match facts.programs.len() {
            1 => format!("a program that is not Python was started (`{first}`)"),
            count => format!("{count} programs that are not Python were started (`{first}`, for one)"),
        };
        self.verdict.notes.push(format!(
            "{what}: a Python that such a program starts is traced, unless its environment was emptied in between (env -i): that \
             leaves no record (docs/explanation/limits.md)"
        ));
    }

    fn shards(&mut self, facts: &Facts, present: &BTreeSet<String>) {
        for shard in facts.shards.difference(present).filter(|shard| !facts.merged.contains(*shard)) {
            self.verdict.notes.push(format!(
                "shard {shard} is gone (combined by hand?); its lines were restored from the ledger"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
