//! Limits: where one is reached, nothing new is traced. What is under way goes on, and is written.

use playtrace_ledger::{Journal, Layout, Record, Recording, UnitKind};
use playtrace_model::{RunToken, Slug};

use super::{Agent, RunId};
use crate::error::AgentError;
use crate::room::{Full, Limits};
use crate::run::{Place, now};

impl Agent {
    /// Whether there is room for one more unit of a run. If not, the run's ledger is told, once a process and limit.
    pub(crate) fn check_room(
        &mut self,
        slug: &Slug,
        token: &RunToken,
        kind: UnitKind,
    ) -> Result<(), AgentError> {
        let id = self.id_of(slug, token);
        let Some(full) = self.full(id, kind, (slug, token)) else { return Ok(()) };
        let refused = Record::Refused { reason: full.limit.clone(), count: 1 };
        let Self { runs, place: Some(place), .. } = self else { return Err(AgentError::NotConfigured) };
        match id.and_then(|id| runs.get_mut(&id)) {
            Some(run) => {
                let untold = run.full.insert(full.name);
                // Best effort, here and below: the answer, and the log, say it, too.
                let _ = if untold { run.append(place, &refused) } else { Ok(()) };
            }
            // A run that nobody has begun leaves nothing: whoever makes up names would fill the disk with that.
            None if has_ledger(place, (slug, token)) && self.room.is_untold(slug, token, full.name) => {
                let _ = self.tell_stranger(slug, token, refused);
            }
            None => {}
        }
        Err(AgentError::Full { limit: full.limit })
    }

    fn full(&mut self, id: Option<RunId>, kind: UnitKind, of: (&Slug, &RunToken)) -> Option<Full> {
        let Limits { contexts, shard, ledger, .. } = self.room.limits;
        if self.owners.len() as u64 >= contexts {
            let what = "so many contexts are under way in this process";
            return Some(Full::new("PROFILE_COVERAGE_MAX_CONTEXTS", what, contexts));
        }
        if let Some(run) = id.and_then(|id| self.runs.get(&id)) {
            if run.fills_shard(shard) {
                let what = "this process's shard of the run has so many bytes";
                return Some(Full::new("PROFILE_COVERAGE_MAX_SHARD", what, shard));
            }
            if run.fills_ledger(ledger) {
                let what = "this process's ledger of the run has so many bytes";
                return Some(Full::new("PROFILE_COVERAGE_MAX_LEDGER", what, ledger));
            }
        }
        let place = self.place.as_ref()?;
        if let Some(full) = self.room.disk(&place.directory) {
            return Some(full);
        }
        // Jobs and children belong to a run that was let in: they are not asked again.
        let begins = id.is_none() && matches!(kind, UnitKind::Request | UnitKind::Block);
        if begins { self.room.directory(&place.directory, !has_ledger(place, of)) } else { None }
    }

    /// Puts something down in the ledger of a run that this process has no part in yet.
    fn tell_stranger(&self, slug: &Slug, token: &RunToken, record: Record) -> Result<(), AgentError> {
        let place = self.place()?;
        let layout = Layout::new(&place.directory);
        let Place { role, program, granularity, engine, .. } = &place;
        let recording = Recording { granularity: *granularity, engine: *engine };
        let mut journal = Journal::open_recording(&layout, slug, token, *role, program, recording, now())?;
        Ok(journal.append(now(), record)?)
    }
}

/// Whether anybody has begun a run.
fn has_ledger(place: &Place, (slug, token): (&Slug, &RunToken)) -> bool {
    Layout::new(&place.directory).run_dir(slug, token).is_dir()
}
