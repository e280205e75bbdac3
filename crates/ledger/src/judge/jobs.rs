//! Background jobs that are owed: each was started as often as it was enqueued, and left a record each time.

use playtrace_model::Status;

use super::facts::Facts;
use super::{Judging, Pending};

impl Judging {
    pub(super) fn jobs(&mut self, facts: &Facts) {
        // Past a limit a job leaves no record of its own, though it ran: no ledger may grow with their number.
        let limited = !facts.refused.is_empty();
        let lost = if limited { "not traced, as a limit was reached, or data lost" } else { "data lost" };
        for (job, function) in facts.promised_jobs() {
            let units = facts.executions.get(job.as_str()).copied().unwrap_or_default();
            if facts.withdrawn.contains(job) {
                continue;
            }
            let name = format!("job {job} ({function})");
            let dropped = self.dropped(facts, job, &name);
            if units + dropped > 0 {
                // A job that is retried or repeated is started more than once.
                let starts = facts.starts.get(job).copied().unwrap_or_default();
                if starts > units {
                    self.wait_for(format!(
                        "{lost}: {name} was started {starts} times, but its work horses left {units} records"
                    ));
                }
                let owed = 1 + facts.again.get(job).copied().unwrap_or_default();
                let missing = owed.saturating_sub(units + dropped);
                if missing > 0 {
                    let what = if limited {
                        "left no record, as a limit was reached, or did not start"
                    } else {
                        "did not start"
                    };
                    self.wait_for(format!(
                        "{name} was enqueued again (a retry, say), and of its {owed} executions {missing} {what}"
                    ));
                }
                continue;
            }
            let seen = facts.job_states.get(job);
            let worker = seen.map(|(_, worker)| worker.as_str()).filter(|worker| !worker.is_empty());
            match (facts.job_starts.get(job), seen) {
                (Some(worker), _) => self.wait_for(format!(
                    "{lost}: {name} was started by worker {worker}, but its work horse left no record"
                )),
                // It may be on its way still: the worker's record comes by another way than the player's poll.
                (None, Some((state, _))) if !facts.enqueued.contains_key(job) => {
                    let reason = format!(
                        "not traced: {name} is {state}, but no process of the app says that it enqueued it, and no \
                         worker that it ran it (do they all call the install() of their queue, playtrace_agent.rq.install(), say?)"
                    );
                    self.pending.push(Pending { reason: reason.clone(), running: false });
                    self.lower(Status::Failed, reason);
                }
                (None, Some((state, _))) if limited => self.wait_for(format!(
                    "not traced: {name} is {state} and left no record, as a limit was reached"
                )),
                (None, Some((state, _))) => {
                    let reason = format!(
                        "not traced: {name} is {state}, but worker {} has no agent that listens \
                         (is ENABLE_PROFILE_COVERAGE set there, and was it restarted since?)",
                        worker.unwrap_or("(unnamed)")
                    );
                    self.pending.push(Pending { reason: reason.clone(), running: false });
                    self.lower(Status::Failed, reason);
                }
                (None, None) if limited => self.wait_for(format!(
                    "not traced, as a limit was reached, or not started: {name} was enqueued and left no record"
                )),
                (None, None) => self.wait_for(format!("{name} was enqueued and has not been started")),
            }
        }
    }

    /// Tells what workers took and did not run; returns how often they did.
    fn dropped(&mut self, facts: &Facts, job: &str, name: &str) -> usize {
        let dropped = facts.dropped.get(job).map_or(&[][..], Vec::as_slice);
        for (reason, asked) in dropped {
            let what = format!("{name} did not run: {reason}");
            if *asked {
                self.verdict.notes.push(what);
            } else {
                self.lower(Status::Partial, what);
            }
        }
        dropped.len()
    }
}
