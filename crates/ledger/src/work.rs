//! What one file of a ledger tells of units of work and of the player's steps.
//!
//! That is most of what a ledger says, four records a request. They are folded as they are read: what is known of a unit that
//! has ended is a few numbers, so that a run may be as long as one likes.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::LineData;

use crate::{Entry, Record, UnitKind};

/// What a file tells of work, up to the record that was taken last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Work {
    /// The process's programs: one that replaces itself (`exec`) goes on in the same file, and counts its units from the start.
    programs: Vec<Program>,
    /// When the last of them began, and the number of the unit that it opened last.
    last_boot: u64,
    last_opened: u64,
    /// What was begun, ended or not.
    pub(crate) begun: Begun,
    /// Step → method and target.
    pub(crate) sent: BTreeMap<u32, Box<str>>,
    /// Step → its last answer.
    pub(crate) answered: BTreeMap<u32, Answer>,
    /// Whether any answer came from an agent that traced.
    pub(crate) has_traced_answer: bool,
    /// Scope → the request or job that it belongs to.
    pub(crate) scopes: BTreeMap<String, Scoped>,
    /// With step granularity: what was entered, by scope.
    pub(crate) entered: LineData,
    /// Shards that are named.
    pub(crate) shards: BTreeSet<String>,
    /// Lines that the process has not written into its shard yet, and when it said so.
    pub(crate) behind: Vec<(u64, LineData)>,
}

/// How much work was begun.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Begun {
    /// Units, by what they are.
    pub(crate) kinds: BTreeMap<UnitKind, usize>,
    /// Steps of the player.
    pub(crate) steps: BTreeSet<u32>,
    /// Job → how often it was executed.
    pub(crate) jobs: BTreeMap<String, usize>,
    /// Tokens of children.
    pub(crate) children: BTreeSet<String>,
}

/// A unit of traced work that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) kind: UnitKind,
    pub(crate) step: Option<u32>,
    pub(crate) job: Option<String>,
    pub(crate) what: String,
    /// Whether it is over but for what it left behind.
    pub(crate) left: bool,
}

/// What the data of a scope belongs to: a request or a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scoped {
    pub(crate) kind: UnitKind,
    pub(crate) step: Option<u32>,
    pub(crate) job: Option<String>,
    pub(crate) what: String,
}

/// An answer that the player got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status; none if there was no answer.
    pub(crate) status: Option<u16>,
    pub(crate) traced: Traced,
}

/// What `X-Profile-Trace-Status` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Traced {
    /// There was no such header.
    Unsaid,
    On,
    /// Any other value.
    Other(Box<str>),
}

/// One program's units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Program {
    open: BTreeMap<String, Unit>,
    /// Units that have ended. Only kept where an earlier program has open ones, which may have the same names.
    ended: BTreeSet<String>,
}

impl Work {
    /// Whether a record is one of those that are folded: nothing else needs to keep it.
    pub(crate) fn has(record: &Record) -> bool {
        matches!(
            record,
            Record::Open { .. }
                | Record::Left { .. }
                | Record::Closed { .. }
                | Record::Sent { .. }
                | Record::Answered { .. }
        )
    }

    /// Takes the beginning of a unit that was in the process's memory map, unless the file has it.
    ///
    /// A process counts its units, and writes these records in that order. What is older than its last boot record was written before that.
    pub(crate) fn take_opened(&mut self, entry: &Entry) -> bool {
        let Record::Open { unit, .. } = &entry.record else { return false };
        let is_later = unit.parse::<u64>().is_ok_and(|number| number > self.last_opened);
        let is_lacking = is_later && entry.at >= self.last_boot;
        if is_lacking {
            self.take(entry);
        }
        is_lacking
    }

    /// Takes the file's next record.
    pub(crate) fn take(&mut self, Entry { at, record }: &Entry) {
        match record {
            Record::Boot { .. } => {
                self.programs.push(Program::default());
                (self.last_boot, self.last_opened) = (*at, 0);
            }
            Record::Open { .. } => self.open(record),
            Record::Left { unit } => {
                let mut programs = self.programs.iter_mut().rev();
                let program =
                    programs.find(|program| program.ended.contains(unit) || program.open.contains_key(unit));
                if let Some(unit) = program.and_then(|program| program.open.get_mut(unit)) {
                    unit.left = true;
                }
            }
            Record::Closed { unit, shard, new, entered } => {
                self.close(unit);
                self.entered.union_with(&entered.0);
                if let Some(shard) = shard {
                    self.behind.clear();
                    if !self.shards.contains(shard) {
                        self.shards.insert(shard.clone());
                    }
                } else if !new.is_empty() {
                    self.behind.push((*at, new.0.clone()));
                }
            }
            Record::Sent { step, method, target } => {
                self.sent.insert(*step, format!("{method} {target}").into_boxed_str());
            }
            Record::Answered { step, status, trace } => {
                let traced = match trace.as_deref() {
                    None => Traced::Unsaid,
                    Some("on") => Traced::On,
                    Some(other) => Traced::Other(other.into()),
                };
                self.has_traced_answer |= traced == Traced::On;
                self.answered.insert(*step, Answer { status: *status, traced });
            }
            _ => {}
        }
    }

    fn open(&mut self, record: &Record) {
        let Record::Open { unit, kind, step, job, child, what, scope } = record else { return };
        if let Some(scope) = scope {
            let scoped = Scoped { kind: *kind, step: *step, job: job.clone(), what: what.clone() };
            // Threads and children share the scope of what started them.
            if scoped.is_whole() || !self.scopes.contains_key(scope) {
                self.scopes.insert(scope.clone(), scoped);
            }
        }
        let opened = Unit { kind: *kind, step: *step, job: job.clone(), what: what.clone(), left: false };
        if self.programs.is_empty() {
            // The beginning of the file is damaged.
            self.programs.push(Program::default());
        }
        let Some(program) = self.programs.last_mut() else { return };
        if program.open.insert(unit.clone(), opened).is_some() {
            // Written again, after a write that was cut off.
            return;
        }
        *self.begun.kinds.entry(*kind).or_default() += 1;
        self.begun.steps.extend(step);
        if let Some(job) = job {
            *self.begun.jobs.entry(job.clone()).or_default() += 1;
        }
        self.begun.children.extend(child.clone());
        self.last_opened = self.last_opened.max(unit.parse().unwrap_or_default());
    }

    /// Ends a unit: the latest program's of that name. A ledger that was cut off has its process begin anew in it, in the middle
    /// of its units.
    fn close(&mut self, unit: &str) {
        for at in (0..self.programs.len()).rev() {
            let (earlier, from) = self.programs.split_at_mut(at);
            let Some(program) = from.first_mut() else { return };
            if program.ended.contains(unit) {
                return;
            }
            if program.open.remove(unit).is_some() {
                if earlier.iter().any(|program| !program.open.is_empty()) {
                    program.ended.insert(unit.to_owned());
                }
                return;
            }
        }
    }

    /// Units that have not ended, by program and name.
    pub(crate) fn still_open(&self) -> impl Iterator<Item = &Unit> {
        self.programs.iter().flat_map(|program| program.open.values())
    }
}

impl Scoped {
    /// Whether it is a request or a job itself, and not something that one started.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.kind, UnitKind::Request | UnitKind::Job)
    }
}

#[cfg(test)]
mod tests;
