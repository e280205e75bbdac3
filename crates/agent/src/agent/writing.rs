//! Writing: what is new of a run, and what its ledger is told. A fault switches the run off.

use playtrace_ledger::Record;
use playtrace_model::{RunToken, Slug};
use playtrace_tracer::ContextId;

use super::{Agent, RunId};
use crate::behind::Urgency;
use crate::error::AgentError;
use crate::jobs::{self, Notes};
use crate::run::{Place, Run, Written};

impl Agent {
    /// Writes what is new of a run. A fault switches the run off.
    pub(super) fn flush_run(
        &mut self,
        id: RunId,
        unit: Option<&str>,
        urgency: Urgency,
    ) -> Result<Option<Written>, AgentError> {
        let Self { runs, tracer, sources, draft, place: Some(place), .. } = self else {
            return Err(AgentError::NotConfigured);
        };
        let Some(run) = runs.get_mut(&id).filter(|run| run.off.is_none()) else { return Ok(None) };
        let result = run.flush(place, tracer, sources, draft, (unit, urgency));
        if let Err(error) = &result {
            self.switch_off(id, unit, &error.to_string());
        }
        result
    }

    /// Appends to a run's ledger. A fault switches the run off.
    pub(crate) fn append(&mut self, id: RunId, record: &Record) -> Result<(), AgentError> {
        self.write_to(id, |run, place| run.append(place, record))
    }

    /// Says in a run's ledger, or for the moment in its memory map, that a unit begins. A fault switches the run off.
    pub(super) fn promise(&mut self, id: RunId, opened: &Record) -> Result<(), AgentError> {
        self.write_to(id, |run, place| run.promise(place, opened))
    }

    fn write_to(
        &mut self,
        id: RunId,
        write: impl FnOnce(&mut Run, &Place) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        let Self { runs, place: Some(place), .. } = self else { return Err(AgentError::NotConfigured) };
        let Some(run) = runs.get_mut(&id) else { return Ok(()) };
        if let Some(reason) = &run.off {
            return Err(AgentError::SwitchedOff { reason: reason.clone() });
        }
        let result = write(run, place);
        if let Err(error) = &result {
            self.switch_off(id, None, &error.to_string());
        }
        result
    }

    fn switch_off(&mut self, id: RunId, unit: Option<&str>, reason: &str) {
        let place = self.place.clone();
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.off = Some(reason.to_owned());
        if let Some(place) = place {
            // It may be just the ledger that can't be written; then the open units tell of the loss.
            let lost = Record::Lost { unit: unit.map(str::to_owned), reason: reason.to_owned() };
            let _ = run.append(&place, &lost);
        }
        let contexts: Vec<ContextId> = run.contexts().collect();
        for context in contexts {
            self.tracer.deactivate(context);
        }
    }

    /// Notes something about a run that is no unit of work in this process.
    pub(crate) fn note(&mut self, slug: &Slug, token: &RunToken, record: &Record) -> Result<(), AgentError> {
        let (id, _) = self.run(slug, token)?;
        self.append(id, record)
    }

    /// Promises a job, and keeps in mind who enqueued it. The ledger first: what its notes say lies beside it, and where it can't be written no
    /// directory is made for them.
    pub(crate) fn enqueue(
        &mut self,
        slug: &Slug,
        token: &RunToken,
        job: &str,
        function: &str,
        (queue, again): (String, bool),
    ) -> Result<(), AgentError> {
        let promise = Record::Enqueue { job: job.to_owned(), function: function.to_owned(), queue, again };
        let promised = self.note(slug, token, &promise);
        let run = self.id_of(slug, token).and_then(|id| self.runs.get_mut(&id));
        let mut without = Notes::default();
        let notes = run.filter(|run| run.off.is_none()).map_or(&mut without, |run| &mut run.notes);
        if let Some(place) = &self.place {
            notes.remember(&place.directory, job, slug, token, function);
        }
        promised
    }

    /// Who enqueued a job; asked once.
    pub(crate) fn recall_job(&self, job: &str) -> Option<jobs::Note> {
        jobs::take(&self.place.as_ref()?.directory, job)
    }

    /// Writes everything that is not written yet.
    pub(crate) fn flush_all(&mut self) -> Vec<Result<Option<Written>, AgentError>> {
        let ids: Vec<RunId> = self.runs.keys().copied().collect();
        let mut results: Vec<_> = ids.into_iter().map(|id| self.flush_run(id, None, Urgency::Now)).collect();
        results.push(self.write_anyone().map(|()| None));
        results
    }
}
