//! The records of all processes, sorted by what they are about.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::{LineData, MeasuredPath, SourceHash};

use crate::{Engine, Entry, Outcome, Record, RunLedger, UnitKind, Writer};

/// One unit of traced work.
pub(super) struct Unit {
    pub(super) kind: UnitKind,
    pub(super) step: Option<u32>,
    pub(super) job: Option<String>,
    pub(super) child: Option<String>,
    pub(super) what: String,
    pub(super) closed: bool,
    /// Whether it is over but for what it left behind.
    pub(super) left: bool,
    /// The process, for people.
    pub(super) writer: String,
    pub(super) alive: Option<bool>,
}

/// What the data of a scope belongs to: a request or a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scoped {
    pub(super) kind: UnitKind,
    pub(super) step: Option<u32>,
    pub(super) job: Option<String>,
    pub(super) what: String,
}

impl Unit {
    /// The unit, for people.
    pub(super) fn describe(&self, facts: &Facts) -> String {
        if self.left && !self.closed {
            return format!(
                "what {} left behind (a task, a timer or a stored context)",
                self.describe_work(facts)
            );
        }
        self.describe_work(facts)
    }

    fn describe_work(&self, facts: &Facts) -> String {
        let what = if self.what.is_empty() { String::new() } else { format!(" ({})", self.what) };
        match (self.kind, self.step, &self.job) {
            (UnitKind::Request, Some(step), _) => match facts.sent.get(&step) {
                Some(target) => format!("step {step} ({target})"),
                None => format!("step {step}{what}"),
            },
            (UnitKind::Request, None, _) => format!("a request{what}"),
            (UnitKind::Job, _, Some(job)) => match facts.enqueued.get(job) {
                Some(function) => format!("job {job} ({function})"),
                None => format!("job {job}{what}"),
            },
            (UnitKind::Job, _, None) => format!("a job{what}"),
            (UnitKind::Child, ..) => format!("a child process{what}"),
            (UnitKind::Thread, ..) => format!("a thread{what}"),
            (UnitKind::Block, ..) => format!("a traced block{what}"),
        }
    }
}

/// The player's promise.
pub(super) struct Manifest {
    pub(super) steps: u32,
    pub(super) player_alive: Option<bool>,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) manifest: Option<Manifest>,
    pub(super) end: Option<(Outcome, Vec<String>)>,
    /// Step → method and target.
    pub(super) sent: BTreeMap<u32, String>,
    /// Step → HTTP status and trace status of its last answer.
    pub(super) answered: BTreeMap<u32, (Option<u16>, Option<String>)>,
    /// (file, program, unit id) → unit. A process that replaces its program (`exec`) goes on in the same file, and its new
    /// program counts its units from the start.
    pub(super) units: BTreeMap<(String, usize, String), Unit>,
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
    behind: BTreeMap<String, Vec<(u64, LineData)>>,
    /// When the run was merged last.
    merged_at: Option<u64>,
    pub(super) entered: LineData,
    pub(super) scopes: BTreeMap<String, Scoped>,
    pub(super) shards: BTreeSet<String>,
    pub(super) merged: BTreeSet<String>,
    pub(super) sources: BTreeMap<MeasuredPath, BTreeSet<SourceHash>>,
    pub(super) unknown: usize,
    /// Processes, for people, to which coverage.py reported lines.
    pub(super) by_coverage: BTreeSet<String>,
    /// Ledger file → its process, for people, and whether that runs.
    pub(super) writers: BTreeMap<String, (String, Option<bool>)>,
}

impl Facts {
    pub(super) fn gather(ledger: &RunLedger) -> Self {
        let mut facts = Self::default();
        for writer in &ledger.writers {
            let (name, alive) = (writer.describe(), writer.is_alive());
            facts.writers.insert(writer.file.clone(), (name.clone(), alive));
            let mut program = 0;
            for entry in &writer.entries {
                program += usize::from(matches!(entry.record, Record::Boot { .. }));
                facts.take(writer, (&name, alive, program), &entry.record);
                facts.place(&writer.file, entry);
            }
        }
        facts
    }

    /// Notes which lines are in no shard.
    fn place(&mut self, file: &str, Entry { at, record }: &Entry) {
        match record {
            Record::Closed { shard: Some(_), .. } => _ = self.behind.remove(file),
            Record::Closed { new, .. } if !new.0.is_empty() => {
                self.behind.entry(file.to_owned()).or_default().push((*at, new.0.clone()));
            }
            Record::Merged { .. } => self.merged_at = self.merged_at.max(Some(*at)),
            _ => {}
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

    pub(super) fn count(&self, kind: UnitKind) -> usize {
        self.units.values().filter(|unit| unit.kind == kind).count()
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

    /// The unit of a record that ends one.
    fn unit(&mut self, file: &str, program: usize, unit: &str) -> Option<&mut Unit> {
        // A ledger that was cut off has its process begin anew in it, in the middle of its units.
        let programs = (0..=program).rev();
        let key = programs
            .map(|program| (file.to_owned(), program, unit.to_owned()))
            .find(|key| self.units.contains_key(key))?;
        self.units.get_mut(&key)
    }

    pub(super) fn job_ids(&self) -> BTreeSet<&String> {
        let enqueued = self.enqueued.keys().filter(|job| !self.withdrawn.contains(*job));
        enqueued
            .chain(self.job_states.keys())
            .chain(self.units.values().filter_map(|unit| unit.job.as_ref()))
            .collect()
    }

    fn take(
        &mut self,
        writer: &Writer,
        (name, alive, program): (&str, Option<bool>, usize),
        record: &Record,
    ) {
        match record {
            Record::Boot { engine: Engine::Coverage, .. } => _ = self.by_coverage.insert(name.to_owned()),
            Record::Boot { .. } | Record::Setup { .. } => {}
            Record::Unknown => self.unknown += 1,
            Record::Open { unit, kind, step, job, child, what, scope } => {
                let opened = Unit {
                    kind: *kind,
                    step: *step,
                    job: job.clone(),
                    child: child.clone(),
                    what: what.clone(),
                    closed: false,
                    left: false,
                    writer: name.to_owned(),
                    alive,
                };
                if let Some(scope) = scope {
                    let scoped = Scoped { kind: *kind, step: *step, job: job.clone(), what: what.clone() };
                    // Threads and children share the scope of what started them.
                    let known = self.scopes.entry(scope.clone()).or_insert_with(|| scoped.clone());
                    if matches!(kind, UnitKind::Request | UnitKind::Job) {
                        *known = scoped;
                    }
                }
                self.units.insert((writer.file.clone(), program, unit.clone()), opened);
            }
            Record::Left { unit } => {
                if let Some(unit) = self.unit(&writer.file, program, unit) {
                    unit.left = true;
                }
            }
            Record::Closed { unit, shard, new, entered } => {
                self.entered.union_with(&entered.0);
                if let Some(unit) = self.unit(&writer.file, program, unit) {
                    unit.closed = true;
                }
                self.shards.extend(shard.clone());
                self.lines.union_with(&new.0);
            }
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
            Record::Sent { step, method, target } => {
                self.sent.insert(*step, format!("{method} {target}"));
            }
            Record::Answered { step, status, trace } => {
                self.answered.insert(*step, (*status, trace.clone()));
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
