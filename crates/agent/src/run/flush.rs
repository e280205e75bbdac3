//! What a run puts on disk: lines into the shard or, for the moment, into the ledger alone; and what proves them.

use std::collections::BTreeSet;
use std::time::Instant;

use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::ShardWriter;
use playtrace_ledger::{Granularity, Journal, NewLines, ProcessId, Record};
use playtrace_model::{ContextLabel, LineData};
use playtrace_tracer::{ContextId, FileLines, Tracer};

use super::{Draft, Place, Run, Written};
use crate::behind::Urgency;
use crate::error::AgentError;
use crate::sources::Sources;

impl Run {
    /// Puts on disk what the contexts saw since the last flush: into the shard now, or, if that can wait, into the ledger alone
    /// for the moment. With a unit, the ledger says that it ended.
    pub(crate) fn flush(
        &mut self,
        place: &Place,
        tracer: &mut Tracer,
        sources: &Sources,
        draft: &mut Draft,
        (unit, urgency): (Option<&str>, Urgency),
    ) -> Result<Option<Written>, AgentError> {
        let fresh: Vec<(ContextId, FileLines)> = self
            .contexts()
            .filter(|context| tracer.has_fresh(*context))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|context| (context, tracer.drain(context)))
            .collect();
        let (entered, fresh): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|(context, _)| {
            place.granularity == Granularity::Steps && *context != self.profile && *context != self.import
        });
        if !fresh.is_empty() {
            self.note_sources(place, sources, &fresh)?;
        }
        let new = self.labelled(place, sources, fresh);
        let entered = self.entered(sources, entered);
        if new.is_empty() && !self.behind.is_empty() && self.shard_is_gone() {
            // Whoever took it away has these lines from the ledger; they alone are no reason for another one.
            self.behind.take();
        }
        // Whoever traces without a run's token combines by hand, and has no other way to tell that something is missing. What waits,
        // waits for a shard that is there: what comes after it was taken away begins another one.
        let lasts = |shard: &ShardWriter| new.is_empty() || !self.behind.is_empty() || shard.is_current();
        let has_shard = self.shard.as_ref().is_some_and(lasts);
        let may_wait = urgency == Urgency::Soon && !self.token.is_untokened() && has_shard;
        let waits = may_wait && !self.behind.may_write();
        let mut written = None;
        let has_some = !new.is_empty() || !self.behind.is_empty();
        if has_some && !waits {
            // Should that fail, what waited is in the ledger, and the run is switched off.
            let mut waited = self.behind.take();
            let all = if waited.is_empty() {
                &new
            } else {
                waited.union_with(&new);
                &waited
            };
            let lines = all.iter().map(|(.., lines)| lines.len()).sum();
            let files = all.iter().map(|(_, path, _)| path).collect::<BTreeSet<_>>().len();
            let begin = Instant::now();
            let shard = self.write_shard(place, tracer, sources, draft, all)?;
            self.behind.written(begin);
            written = Some(Written { shard, files, lines });
        }
        // Lines between two units (a flush that the app asked for) are proven by a unit of no name.
        if unit.is_some() || !new.is_empty() || !entered.is_empty() || written.is_some() {
            let holds_all = self.behind.is_empty() && (!waits || new.is_empty());
            let shard = self.shard.as_ref().filter(|_| holds_all).map(|shard| shard.file_name().to_owned());
            let has_news = !new.is_empty() || !entered.is_empty();
            let unit = unit.unwrap_or_default().to_owned();
            let closed = Record::Closed { unit, shard, new: NewLines(new), entered: NewLines(entered) };
            let appended = self.append_closed(place, &closed, has_news);
            if waits {
                self.behind.add(closed.into_new_lines());
            }
            if let Err(error) = appended {
                // They must be somewhere.
                if !self.behind.is_empty() {
                    let all = self.behind.take();
                    let _ = self.write_shard(place, tracer, sources, draft, &all);
                }
                return Err(error);
            }
        }
        self.keep_promises(place)?;
        if let Some(map) = &mut self.unflushed {
            map.clear();
        }
        self.unmapped = false;
        Ok(written)
    }

    fn labelled(&self, place: &Place, sources: &Sources, contexts: Vec<(ContextId, FileLines)>) -> LineData {
        collect(sources, contexts, |context| self.label(place, context))
    }

    /// What was entered, by the scopes' own names.
    fn entered(&self, sources: &Sources, contexts: Vec<(ContextId, FileLines)>) -> LineData {
        collect(sources, contexts, |context| {
            let scope = self.scopes.iter().find(|scope| scope.context == context);
            ContextLabel::new(scope.map(|scope| scope.name.as_str()).unwrap_or_default())
        })
    }

    /// Writes what each file looked like when this process loaded it, before the lines that need it.
    fn note_sources(
        &mut self,
        place: &Place,
        sources: &Sources,
        contexts: &[(ContextId, FileLines)],
    ) -> Result<(), AgentError> {
        let mut unsaid = BTreeSet::new();
        for file in contexts.iter().flat_map(|(_, files)| files.keys()) {
            if !self.hashed.contains(file) {
                unsaid.insert(*file);
            }
        }
        if unsaid.is_empty() {
            return Ok(());
        }
        let records = unsaid.iter().filter_map(|file| {
            let hash = sources.hash(*file)?.clone();
            Some(Record::Source { path: sources.path(*file).clone(), hash })
        });
        self.append_all(place, Journal::is_current, &records.collect::<Vec<_>>())?;
        // After a clean-up this is another ledger, and what was said before is said again when it is needed.
        self.hashed.append(&mut unsaid);
        Ok(())
    }

    fn write_shard(
        &mut self,
        place: &Place,
        tracer: &Tracer,
        sources: &Sources,
        draft: &mut Draft,
        new: &LineData,
    ) -> Result<String, AgentError> {
        if let Some(shard) = &mut self.shard {
            match shard.add(new) {
                Ok(()) => return Ok(shard.file_name().to_owned()),
                // Somebody holds it locked: a new one is nobody's yet.
                Err(CovdataError::ShardMoved { .. } | CovdataError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The first shard, or somebody took the last one away: a new one holds everything.
        let lined = self.contexts().filter(|context| {
            place.granularity != Granularity::Steps || *context == self.profile || *context == self.import
        });
        let whole: Vec<_> = lined.map(|context| (context, tracer.whole(context))).collect();
        let mut whole = self.labelled(place, sources, whole);
        // Of scopes that are gone, too.
        whole.union_with(new);
        let ProcessId { host, pid, .. } = ProcessId::current();
        let of = (&self.slug, &self.token);
        let shard = ShardWriter::create(draft.get()?, &place.directory, of, (&host, pid), &whole)?;
        let name = shard.file_name().to_owned();
        self.shard = Some(shard);
        Ok(name)
    }
}

/// The lines of contexts, under labels.
fn collect(
    sources: &Sources,
    contexts: Vec<(ContextId, FileLines)>,
    label: impl Fn(ContextId) -> ContextLabel,
) -> LineData {
    let mut data = LineData::new();
    for (context, files) in contexts {
        let label = label(context);
        for (file, lines) in files {
            data.insert(&label, sources.path(file).clone(), lines);
        }
    }
    data
}
