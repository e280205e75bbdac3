//! Runs without work: their contexts rest, what waits is written, and at last they go.

use std::time::{Duration, Instant};

use playtrace_tracer::{CodeId, Disarm};

use super::{Agent, RunId};
use crate::behind::Urgency;
use crate::due;

/// A run without work for so long gives its contexts, its shard and its ledger back. Should it come again, it reports
/// its lines again, which merges to the same.
const IDLE: Duration = Duration::from_mins(10);
/// A run without work for so long has its contexts rest: their slots are others'. When its next request comes, it reports its lines
/// again; those that are on disk are not written twice.
const REST: Duration = Duration::from_secs(5);
/// Whether something may rest is looked at so often at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// At most so many runs without work are kept.
const KEPT: usize = 24;
impl Agent {
    /// Has the contexts of runs rest that have had no work for a while. Answers with the code objects that need not be
    /// listened to any more.
    pub(crate) fn rest(&mut self) -> Vec<(CodeId, Disarm)> {
        if self.rest_idle() { self.tracer.disarm() } else { Vec::new() }
    }

    /// Has idle contexts rest; says whether it was time to look.
    pub(super) fn rest_idle(&mut self) -> bool {
        if self.rested.elapsed() < LOOK_AGAIN {
            return false;
        }
        self.rested = Instant::now();
        due::REST.set(self.rested + LOOK_AGAIN);
        let resting = self.runs.values().filter(|run| run.is_idle());
        let resting = resting.filter(|run| run.last_used.elapsed() > REST).map(|run| run.profile);
        for context in resting.collect::<Vec<_>>() {
            self.tracer.deactivate(context);
        }
        let behind = self.runs.iter().filter(|(_, run)| run.is_behind()).map(|(id, _)| *id);
        for id in behind.collect::<Vec<_>>() {
            self.write_what_waits(id);
        }
        true
    }

    /// Nobody asked for it: a fault, which the run's ledger has, waits for who can say it.
    fn write_what_waits(&mut self, id: RunId) {
        if let Err(error) = self.flush_run(id, None, Urgency::Now) {
            self.unsaid.push(error.to_string());
        }
    }

    /// Faults that are to be said.
    pub(crate) fn take_unsaid(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unsaid)
    }

    /// Work is let in: from now on there may be something that rests.
    pub(super) fn expect_rest(&self) {
        if !due::REST.is_ever() {
            due::REST.set(self.rested + LOOK_AGAIN);
        }
    }

    /// Lets go of runs that had no work for long, or that are too many.
    pub(super) fn retire_idle(&mut self) {
        if self.runs.len() <= KEPT && self.retired.elapsed() < LOOK_AGAIN {
            return;
        }
        self.retired = Instant::now();
        let mut idle: Vec<(Instant, RunId)> =
            self.runs.iter().filter(|(_, run)| run.is_idle()).map(|(id, run)| (run.last_used, *id)).collect();
        idle.sort_unstable();
        let too_many = idle.len().saturating_sub(KEPT);
        for (index, (last_used, id)) in idle.into_iter().enumerate() {
            if index < too_many || last_used.elapsed() > IDLE {
                // Work that was never a unit (a forgotten callback) may have left lines.
                self.write_what_waits(id);
                self.remove_run(id);
            }
        }
    }
}
