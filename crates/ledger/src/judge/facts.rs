//! The records of all processes, sorted by what they are about.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{LineData, MeasuredPath, SourceHash};

use crate::work::{Answer, Scoped, Unit};
use crate::{Engine, Outcome, Record, RunLedger, UnitKind, Writer};

/// A unit of work that has not ended, and where.
pub(super) struct Open<'a> {
    pub(super) unit: &'a Unit,
    /// The process, for people.
    pub(super) writer: String,
    pub(super) alive: Option<bool>,
}

/// The player's promise.
pub(super) struct Manifest {
    pub(super) steps: u32,
    pub(super) player_alive: Option<bool>,
}

#[derive(Default)]
pub(super) struct Facts<'a> {
    pub(super) manifest: Option<Manifest>,
    pub(super) end: Option<(Outcome, Vec<String>)>,
    /// Step → method and target.
    pub(super) sent: BTreeMap<u32, &'a str>,
    /// Step → its last answer.
    pub(super) answered: BTreeMap<u32, &'a Answer>,
    /// Steps of which a process says that it has begun them.
    pub(super) traced: BTreeSet<u32>,
    /// How many requests were begun.
    pub(super) requests: usize,
    /// Job → how often it was executed.
    pub(super) executions: BTreeMap<&'a str, usize>,
    /// Tokens of children that left a record.
    pub(super) children: BTreeSet<&'a str>,
    /// By ledger file, program and name.
    pub(super) open: Vec<Open<'a>>,
    /// Job → function.
    pub(super) enqueued: BTreeMap<String, String>,
    pub(super) withdrawn: BTreeSet<String>,
    /// Job → how often an execution of it asked for another one.
    pub(super) again: BTreeMap<String, usize>,
    /// Job → why workers took it and did not run it, and whether the app asked for that.
    pub(super) dropped: BTreeMap<String, Vec<(String, bool)>>,
    /// Job → worker.
    pub(super) job_starts: BTreeMap<String, String>,
    /// Job → how often a worker started it.
    pub(super) starts: BTreeMap<String, usize>,
    /// Job → (state, worker), as the player saw it.
    pub(super) job_states: BTreeMap<String, (String, String)>,
    /// Job → function, as the player saw it.
    pub(super) job_functions: BTreeMap<String, String>,
    /// Child token → command, of children that certainly are Python.
    pub(super) spawned: BTreeMap<String, String>,
    /// Commands of other programs, shells among them.
    pub(super) programs: Vec<String>,
    pub(super) lost: Vec<String>,
    pub(super) owed: Vec<String>,
    pub(super) refused: Vec<String>,
    pub(super) lines: LineData,
    /// Ledger file → lines that its process has not written into its shard yet, and when it said so.
    behind: BTreeMap<&'a str, &'a [(u64, LineData)]>,
    /// When the run was merged last.
    merged_at: Option<u64>,
    pub(super) entered: LineData,
    pub(super) scopes: BTreeMap<&'a str, &'a Scoped>,
    pub(super) shards: BTreeSet<String>,
    pub(super) merged: BTreeSet<String>,
    pub(super) sources: BTreeMap<MeasuredPath, BTreeSet<SourceHash>>,
    pub(super) unknown: usize,
    /// Processes, for people, to which coverage.py reported lines.
    pub(super) by_coverage: BTreeSet<String>,
    /// Ledger file → its process, for people, and whether that runs.
    pub(super) writers: BTreeMap<String, (String, Option<bool>)>,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(ledger: &'a RunLedger) -> Self {
        let mut facts = Self::default();
        for writer in &ledger.writers {
            let (name, alive) = (writer.describe(), writer.is_alive());
            facts.take_work(writer, &name, alive);
            for entry in writer.entries() {
                if matches!(entry.record, Record::Merged { .. }) {
                    facts.merged_at = facts.merged_at.max(Some(entry.at));
                }
                facts.take((&name, alive), &entry.record);
            }
            facts.writers.insert(writer.file.clone(), (name, alive));
        }
        facts
    }

    fn take_work(&mut self, writer: &'a Writer, name: &str, alive: Option<bool>) {
        let work = &writer.work;
        self.sent.extend(work.sent.iter().map(|(step, what)| (*step, &**what)));
        self.answered.extend(work.answered.iter().map(|(step, answer)| (*step, answer)));
        self.traced.extend(&work.begun.steps);
        self.requests += work.begun.kinds.get(&UnitKind::Request).copied().unwrap_or_default();
        for (job, times) in &work.begun.jobs {
            *self.executions.entry(job).or_default() += times;
        }
        self.children.extend(work.begun.children.iter().map(String::as_str));
        self.open.extend(work.still_open().map(|unit| Open { unit, writer: name.to_owned(), alive }));
        for (scope, of) in &work.scopes {
            let known = self.scopes.entry(scope).or_insert(of);
            if of.is_whole() {
                *known = of;
            }
        }
        self.entered.union_with(&work.entered);
        self.shards.extend(work.shards.iter().cloned());
        if !work.behind.is_empty() {
            self.behind.insert(&writer.file, &work.behind);
            // A scanned file has no others.
            work.behind.iter().for_each(|(_, lines)| self.lines.union_with(lines));
        }
    }

    /// The lines that are in no shard, and that no merge has put into one, by ledger file.
    pub(super) fn behind(&self) -> BTreeMap<&str, LineData> {
        let mut behind: BTreeMap<&str, LineData> = BTreeMap::new();
        for (file, waiting) in &self.behind {
            for (_, lines) in
                waiting.iter().filter(|(at, _)| self.merged_at.is_none_or(|merged| *at > merged))
            {
                behind.entry(file).or_default().union_with(lines);
            }
        }
        behind
    }

    /// A unit, for people.
    pub(super) fn describe(&self, unit: &Unit) -> String {
        let work = self.describe_work(unit);
        if unit.left {
            format!("what {work} left behind (a task, a timer or a stored context)")
        } else {
            work
        }
    }

    fn describe_work(&self, unit: &Unit) -> String {
        let what = if unit.what.is_empty() { String::new() } else { format!(" ({})", unit.what) };
        match (unit.kind, unit.step, &unit.job) {
            (UnitKind::Request, Some(step), _) => match self.sent.get(&step) {
                Some(target) => format!("step {step} ({target})"),
                None => format!("step {step}{what}"),
            },
            (UnitKind::Request, None, _) => format!("a request{what}"),
            (UnitKind::Job, _, Some(job)) => match self.enqueued.get(job) {
                Some(function) => format!("job {job} ({function})"),
                None => format!("job {job}{what}"),
            },
            (UnitKind::Job, _, None) => format!("a job{what}"),
            (UnitKind::Child, ..) => format!("a child process{what}"),
            (UnitKind::Thread, ..) => format!("a thread{what}"),
            (UnitKind::Block, ..) => format!("a traced block{what}"),
        }
    }

    /// Every job that somebody says there is, and its function: the process that enqueued it, a worker, or the player.
    pub(super) fn promised_jobs(&self) -> BTreeMap<&String, &str> {
        let others = self.job_starts.keys().chain(self.job_states.keys()).chain(self.dropped.keys());
        let mut jobs: BTreeMap<&String, &str> =
            others.map(|job| (job, "its function is not known")).collect();
        let named = self.job_functions.iter().chain(&self.enqueued);
        jobs.extend(named.map(|(job, function)| (job, function.as_str())));
        jobs
    }

    pub(super) fn job_ids(&self) -> BTreeSet<&str> {
        let enqueued = self.enqueued.keys().filter(|job| !self.withdrawn.contains(*job));
        let known = enqueued.chain(self.job_states.keys()).map(String::as_str);
        known.chain(self.executions.keys().copied()).collect()
    }

    fn take(&mut self, (name, alive): (&str, Option<bool>), record: &Record) {
        match record {
            Record::Boot { engine: Engine::Coverage, .. } => _ = self.by_coverage.insert(name.to_owned()),
            // All else of work is in the file's `Work`.
            Record::Closed { new, .. } => self.lines.union_with(&new.0),
            Record::Boot { .. }
            | Record::Setup { .. }
            | Record::Open { .. }
            | Record::Left { .. }
            | Record::Sent { .. }
            | Record::Answered { .. } => {}
            Record::Unknown => self.unknown += 1,
            Record::Lost { reason, .. } => self.lost.push(format!("{name}: {reason}")),
            Record::Refused { reason, .. } => self.refused.push(format!("{reason} (said by {name})")),
            Record::Owed { what } => self.owed.push(format!("{what} (seen by {name})")),
            Record::Enqueue { job, function, again: true, .. } => {
                self.enqueued.entry(job.clone()).or_insert_with(|| function.clone());
                *self.again.entry(job.clone()).or_default() += 1;
            }
            Record::Enqueue { job, function, again: false, .. } => {
                self.enqueued.insert(job.clone(), function.clone());
                // Refused once and put there later.
                self.withdrawn.remove(job);
            }
            Record::Dropped { job, reason, asked } => {
                self.dropped.entry(job.clone()).or_default().push((reason.clone(), *asked));
            }
            Record::Withdrawn { job, .. } => {
                self.withdrawn.insert(job.clone());
            }
            Record::JobStart { job, worker } => {
                *self.starts.entry(job.clone()).or_default() += 1;
                self.job_starts.insert(job.clone(), worker.clone());
            }
            Record::Spawn { child, command, python } => {
                if *python {
                    self.spawned.insert(child.clone(), command.clone());
                } else {
                    self.programs.push(command.clone());
                }
            }
            Record::Source { path, hash } => {
                self.sources.entry(path.clone()).or_default().insert(hash.clone());
            }
            Record::Manifest { steps, .. } => {
                self.manifest = Some(Manifest { steps: *steps, player_alive: alive });
            }
            Record::Job { job, state, worker, function } => {
                if !function.is_empty() {
                    self.job_functions.insert(job.clone(), function.clone());
                }
                self.job_states.insert(job.clone(), (state.clone(), worker.clone()));
            }
            Record::End { outcome, failures } => self.end = Some((*outcome, failures.clone())),
            Record::Merged { shards, .. } => self.merged.extend(shards.iter().cloned()),
        }
    }
}
