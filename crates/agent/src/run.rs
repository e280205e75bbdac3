//! One run of one profile in this process: its contexts, its ledger, its shard.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::ShardWriter;
use playtrace_ledger::{Journal, Layout, NewLines, ProcessId, Record, Role};
use playtrace_model::{ContextLabel, LineData, RunToken, Slug};
use playtrace_tracer::{ContextId, FileId, FileLines, Tracer};

use crate::error::AgentError;
use crate::sources::Sources;

/// What all runs of the process share.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Where shards go.
    pub(crate) directory: PathBuf,
    /// Context labels begin with it.
    pub(crate) prefix: String,
    /// What this process does.
    pub(crate) role: Role,
    /// Names the agent for people.
    pub(crate) program: String,
}

/// What a flush put on disk.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) shard: String,
    pub(crate) files: usize,
    pub(crate) lines: usize,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) slug: Slug,
    pub(crate) token: RunToken,
    /// The profile's own lines.
    pub(crate) profile: ContextId,
    /// Lines run by imports.
    pub(crate) import: ContextId,
    /// Imports under way, and threads that they started.
    pub(crate) imports: u32,
    /// Units of work that are open.
    pub(crate) open: u32,
    pub(crate) last_used: Instant,
    /// Why the agent switched itself off for this run.
    pub(crate) off: Option<String>,
    journal: Option<Journal>,
    shard: Option<ShardWriter>,
    /// Files whose hash is in the ledger.
    hashed: BTreeSet<FileId>,
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Run {
    pub(crate) fn new(slug: Slug, token: RunToken, profile: ContextId, import: ContextId) -> Self {
        Self {
            slug,
            token,
            profile,
            import,
            imports: 0,
            open: 0,
            last_used: Instant::now(),
            off: None,
            journal: None,
            shard: None,
            hashed: BTreeSet::new(),
        }
    }

    /// Appends to the run's ledger, opening it (again, when a clean-up took it away) if need be.
    pub(crate) fn append(&mut self, place: &Place, record: Record) -> Result<(), AgentError> {
        if !self.journal.as_ref().is_some_and(Journal::is_current) {
            let layout = Layout::new(&place.directory);
            let journal = Journal::open(&layout, &self.slug, &self.token, place.role, &place.program, now())?;
            self.journal = Some(journal);
            self.hashed.clear();
        }
        if let Some(journal) = &mut self.journal {
            journal.append(now(), record)?;
        }
        Ok(())
    }

    /// Whether a shard was written and somebody took it away since.
    pub(crate) fn shard_is_gone(&self) -> bool {
        self.shard.as_ref().is_some_and(|shard| !shard.is_current())
    }

    /// Puts on disk what the contexts saw since the last flush; with a unit, the ledger says that it ended.
    pub(crate) fn flush(
        &mut self,
        place: &Place,
        tracer: &mut Tracer,
        sources: &Sources,
        unit: Option<&str>,
    ) -> Result<Option<Written>, AgentError> {
        let fresh = [(self.profile, tracer.drain(self.profile)), (self.import, tracer.drain(self.import))];
        let new = self.labelled(place, sources, &fresh);
        let mut written = None;
        if !new.is_empty() {
            self.note_sources(place, sources, &fresh)?;
            let lines = new.iter().map(|(.., lines)| lines.len()).sum();
            let files = new.lines_by_file(|_| true).len();
            let shard = self.write_shard(place, tracer, sources, &new)?;
            written = Some(Written { shard, files, lines });
        }
        if let Some(unit) = unit {
            let shard = self.shard.as_ref().map(|shard| shard.file_name().to_owned());
            self.append(place, Record::Closed { unit: unit.to_owned(), shard, new: NewLines(new) })?;
        } else if !new.is_empty() {
            // Lines between two units (a flush that the app asked for) are proven by an unit of no name.
            let shard = self.shard.as_ref().map(|shard| shard.file_name().to_owned());
            self.append(place, Record::Closed { unit: String::new(), shard, new: NewLines(new) })?;
        }
        Ok(written)
    }

    /// Gives everything up that is open, without touching it: it belongs to the parent process.
    pub(crate) fn abandon(self) {
        if let Some(shard) = self.shard {
            shard.leak();
        }
    }

    /// The same for a run that goes on in the child, with a shard and a ledger of its own.
    pub(crate) fn start_over(&mut self) {
        if let Some(shard) = self.shard.take() {
            shard.leak();
        }
        self.journal = None;
        self.hashed.clear();
        self.open = 0;
    }

    fn labelled(&self, place: &Place, sources: &Sources, contexts: &[(ContextId, FileLines)]) -> LineData {
        let mut data = LineData::new();
        for (context, files) in contexts {
            let label = if *context == self.import {
                ContextLabel::import()
            } else {
                self.slug.context_label(&place.prefix)
            };
            for (file, lines) in files {
                data.add(&label, sources.path(*file), lines);
            }
        }
        data
    }

    /// Writes what each file looked like when this process loaded it, before the lines that need it.
    fn note_sources(
        &mut self,
        place: &Place,
        sources: &Sources,
        contexts: &[(ContextId, FileLines)],
    ) -> Result<(), AgentError> {
        for file in contexts.iter().flat_map(|(_, files)| files.keys()) {
            if self.hashed.contains(file) {
                continue;
            }
            if let Some(hash) = sources.hash(*file) {
                let record = Record::Source { path: sources.path(*file).clone(), hash: hash.clone() };
                self.append(place, record)?;
            }
            self.hashed.insert(*file);
        }
        Ok(())
    }

    fn write_shard(
        &mut self,
        place: &Place,
        tracer: &Tracer,
        sources: &Sources,
        new: &LineData,
    ) -> Result<String, AgentError> {
        if let Some(shard) = &mut self.shard {
            match shard.add(new) {
                Ok(()) => return Ok(shard.file_name().to_owned()),
                Err(CovdataError::ShardMoved { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The first shard, or somebody took the last one away: a new one holds everything.
        let whole = [(self.profile, tracer.whole(self.profile)), (self.import, tracer.whole(self.import))];
        let whole = self.labelled(place, sources, &whole);
        let mut shard = new_shard(&place.directory, &self.slug, &self.token)?;
        shard.add(&whole)?;
        let name = shard.file_name().to_owned();
        self.shard = Some(shard);
        Ok(name)
    }
}

fn new_shard(directory: &Path, slug: &Slug, token: &RunToken) -> Result<ShardWriter, CovdataError> {
    let ProcessId { host, pid, .. } = ProcessId::current();
    ShardWriter::create(directory, slug, token, &host, pid)
}
