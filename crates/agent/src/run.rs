//! One run of one profile in this process: its contexts, its ledger, its shard.

mod flush;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use playtrace_covdata::CovdataError;
use playtrace_covdata::shard::{ShardDraft, ShardWriter};
use playtrace_ledger::unflushed::{LABELS, label_record, line_record, scope_record};
use playtrace_ledger::{
    Engine, Granularity, Journal, Layout, ProcessId, Record, Recording, Role, encode_into,
};
use playtrace_model::{ContextLabel, RunToken, Slug};
use playtrace_tracer::{ContextId, FileId, Fresh};

use crate::behind::Behind;
use crate::error::AgentError;
use crate::jobs::Notes;
use crate::sources::Sources;
use crate::token::Holders;
use crate::unflushed::{LineNote, Tail, Unflushed, forks};

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
    /// How finely it records.
    pub(crate) granularity: Granularity,
    /// What reports lines.
    pub(crate) engine: Engine,
}

/// An empty shard in memory, made when the first one is needed, or before the process forks.
#[derive(Debug, Default)]
pub(crate) struct Draft(Option<ShardDraft>);

impl Draft {
    pub(crate) fn get(&mut self) -> Result<&mut ShardDraft, CovdataError> {
        match &mut self.0 {
            Some(draft) => Ok(draft),
            none => Ok(none.insert(ShardDraft::new()?)),
        }
    }
}

/// What a flush put on disk.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) shard: String,
    pub(crate) files: usize,
    pub(crate) lines: usize,
}

/// A context of its own that a request or a job has, with step and request granularity.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) context: ContextId,
    /// What its labels end in.
    pub(crate) name: String,
    /// Units that belong to it and are open: the request itself, threads, child processes.
    pub(crate) units: u32,
    /// Its number in the memory map.
    number: u32,
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
    /// Requests and jobs under way that have a context of their own.
    pub(crate) scopes: Vec<Scope>,
    /// Imports under way, and threads that they started.
    pub(crate) imports: u32,
    /// Units of work that are open.
    pub(crate) open: u32,
    pub(crate) last_used: Instant,
    pub(crate) holders: Holders,
    /// What the ledger says that was lost, though the run goes on.
    pub(crate) lost: BTreeSet<&'static str>,
    /// Which limits the ledger says that were reached.
    pub(crate) full: BTreeSet<&'static str>,
    /// Why the agent switched itself off for this run.
    pub(crate) off: Option<String>,
    journal: Option<Journal>,
    /// Beginnings of units that are in the memory map, and go into the ledger with its next record.
    promised: Vec<u8>,
    /// [`forks`] when they were made.
    promised_after: u32,
    shard: Option<ShardWriter>,
    behind: Behind,
    /// About jobs that it enqueued.
    pub(crate) notes: Notes,
    unflushed: Option<Unflushed>,
    /// The memory map can't be had; until the next flush, a kill would lose the lines since the last one.
    unmapped: bool,
    /// The same when a unit began: the next ones are not held up by trying again.
    mapless: bool,
    /// Files whose hash is in the ledger.
    hashed: BTreeSet<FileId>,
}

/// The contexts' numbers in the memory map; scopes have higher ones.
const PROFILE_NUMBER: u32 = 0;
const IMPORT_NUMBER: u32 = 1;
const FIRST_SCOPE: u32 = 2;

/// Counts scopes.
static LAST_SCOPE: AtomicU32 = AtomicU32::new(0);

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
            scopes: Vec::new(),
            imports: 0,
            open: 0,
            last_used: Instant::now(),
            holders: Holders::default(),
            lost: BTreeSet::new(),
            full: BTreeSet::new(),
            off: None,
            journal: None,
            promised: Vec::new(),
            promised_after: forks(),
            shard: None,
            behind: Behind::default(),
            notes: Notes::default(),
            unflushed: None,
            unmapped: false,
            mapless: false,
            hashed: BTreeSet::new(),
        }
    }

    /// Whether no code can run as its work before a unit is opened. Not only by the units that are open: the end of a process
    /// puts its own down before the last code of it has run.
    pub(crate) fn is_idle(&self) -> bool {
        self.open == 0 && self.imports == 0 && Arc::strong_count(&self.holders) == 1
    }

    /// Says that a unit begins, before it does: in the memory map, which a kill leaves as it is, and in the ledger together with its
    /// next record. One write less for each request is a tenth of what tracing one takes.
    pub(crate) fn promise(&mut self, place: &Place, opened: &Record) -> Result<(), AgentError> {
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.is_current()) else {
            // The first one of a process, or after a clean-up, begins a ledger.
            return self.append(place, opened);
        };
        let at = now().max(journal.begun());
        self.drop_inherited_promises();
        let begin = self.promised.len();
        encode_into(at, opened, &mut self.promised)?;
        if !self.unmapped && !self.mapless {
            self.map(place);
            self.mapless = self.unflushed.is_none();
        }
        let map = self.unflushed.as_mut().filter(|_| !self.unmapped);
        if map.is_some_and(|map| map.note_opened(&self.promised[begin..])) {
            return Ok(());
        }
        let written = self.keep_promises(place);
        if written.is_err() {
            // It does not begin.
            self.promised.truncate(begin);
        }
        written
    }

    /// In a child that was forked without a word to Python, they are the parent's.
    fn drop_inherited_promises(&mut self) {
        if self.promised_after != forks() {
            self.promised.clear();
            self.promised_after = forks();
        }
    }

    /// Has the ledger say what so far only the memory map does.
    fn keep_promises(&mut self, place: &Place) -> Result<(), AgentError> {
        self.drop_inherited_promises();
        if self.promised.is_empty() { Ok(()) } else { self.append_all(place, Journal::is_current, []) }
    }

    /// Appends to the run's ledger, opening it (again, when a clean-up took it away) if need be.
    pub(crate) fn append(&mut self, place: &Place, record: &Record) -> Result<(), AgentError> {
        self.append_all(place, Journal::is_current, [record])
    }

    /// The same for the end of a unit: it follows its beginning, for which the path was looked up. Without news, and without another unit's
    /// beginning, there is nothing in it that must land anywhere: where the ledger was taken away in between, the end is gone as it would be a
    /// moment later, and whoever begins next says so.
    pub(crate) fn append_closed(
        &mut self,
        place: &Place,
        record: &Record,
        has_news: bool,
    ) -> Result<(), AgentError> {
        let is_alone = self.open <= 1;
        self.append_all(place, |journal| (is_alone && !has_news) || journal.is_whole(), [record])
    }

    fn append_all<'a>(
        &mut self,
        place: &Place,
        is_current: impl FnOnce(&Journal) -> bool,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), AgentError> {
        if !self.journal.as_ref().is_some_and(is_current) {
            let harmed = self.journal.is_some();
            if let Some(map) = &mut self.unflushed {
                // What is promised goes into the ledger that begins, once.
                map.clear();
            }
            let layout = Layout::new(&place.directory);
            let Place { role, program, .. } = place;
            let recording = Recording { granularity: place.granularity, engine: place.engine };
            let (slug, token) = (&self.slug, &self.token);
            let mut journal =
                Journal::open_recording(&layout, slug, token, *role, program, recording, now())?;
            if harmed {
                // Work that ended may be proven nowhere now, and nobody could tell that it was.
                let reason = "the ledger was taken away or cut off while the process wrote it: what it said before is gone";
                journal.append(now(), Record::Lost { unit: None, reason: reason.to_owned() })?;
            }
            self.journal = Some(journal);
            self.hashed.clear();
            // It lay in the same directory.
            self.unflushed = None;
            self.mapless = false;
        }
        self.drop_inherited_promises();
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let (at, promised) = (now(), self.promised.len());
        let encoded = records.into_iter().try_for_each(|record| encode_into(at, record, &mut self.promised));
        let written = encoded.and_then(|()| journal.append_lines(&self.promised));
        // What was promised before is in the map still.
        self.promised.truncate(if written.is_ok() { 0 } else { promised });
        Ok(written?)
    }

    /// Whether the shard of this process has so many bytes. One that was merged and taken away has none.
    pub(crate) fn fills_shard(&self, limit: u64) -> bool {
        // What was written is asked of nobody: this is done for each request.
        self.shard.as_ref().is_some_and(|shard| shard.written() >= limit && shard.size() >= limit)
    }

    /// The same of the ledger.
    pub(crate) fn fills_ledger(&self, limit: u64) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.length() >= limit && journal.is_whole())
    }

    /// Whether a shard was written and somebody took it away since.
    pub(crate) fn shard_is_gone(&self) -> bool {
        self.shard.as_ref().is_some_and(|shard| !shard.is_current())
    }

    /// The scope of that name, if it is under way.
    pub(crate) fn scope(&mut self, name: &str) -> Option<&mut Scope> {
        self.scopes.iter_mut().find(|scope| scope.name == name)
    }

    /// The scope of a context, if it is one's.
    pub(crate) fn scope_of(&mut self, context: ContextId) -> Option<&mut Scope> {
        self.scopes.iter_mut().find(|scope| scope.context == context)
    }

    /// Adds a scope, with no unit yet.
    pub(crate) fn add_scope(&mut self, context: ContextId, name: String) {
        // A number means one thing for as long as anybody may be reading the map: each scope of the process takes the next
        // one, and after four million the first ones come again.
        let number = loop {
            let next = LAST_SCOPE.fetch_add(1, Ordering::Relaxed) % (LABELS - FIRST_SCOPE) + FIRST_SCOPE;
            if self.scopes.iter().all(|scope| scope.number != next) {
                break next;
            }
        };
        self.scopes.push(Scope { context, name, units: 0, number });
    }

    /// All contexts of the run.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = ContextId> {
        [self.profile, self.import].into_iter().chain(self.scopes.iter().map(|scope| scope.context))
    }

    /// Keeps a line, or what a step entered, from being lost by a kill before the next flush; if it could be, what was noted, and
    /// where more of the same context and file can be.
    pub(crate) fn keep(
        &mut self,
        place: &Place,
        sources: &Sources,
        fresh: Fresh,
    ) -> Option<(LineNote, Tail)> {
        if self.unmapped {
            return None;
        }
        self.map(place);
        let scope = self.scopes.iter().find(|scope| scope.context == fresh.context);
        let number = match scope {
            Some(scope) => scope.number,
            None if fresh.context == self.import => IMPORT_NUMBER,
            None => PROFILE_NUMBER,
        };
        // A number that doesn't fit is not kept; all others are.
        line_record(number, fresh.file.0, fresh.line)?;
        let mut map = self.unflushed.take();
        let definition = || match scope {
            Some(scope) if place.granularity == Granularity::Steps => scope_record(number, &scope.name),
            _ => label_record(number, &self.label(place, fresh.context)),
        };
        let noted = map.as_mut().and_then(|map| {
            map.note((number, definition), (fresh.file.0, || sources.path(fresh.file)), fresh.line)
        });
        // What a full one holds counts until the next flush, which empties it.
        self.unflushed = map;
        self.unmapped = noted.is_none();
        noted.zip(self.unflushed.as_ref().map(Unflushed::tail))
    }

    /// Makes the memory map if there is none of this process's. It may be that it can't be had.
    fn map(&mut self, place: &Place) {
        if !self.unflushed.as_ref().is_some_and(Unflushed::is_own) {
            let layout = Layout::new(&place.directory);
            let name = Layout::file_name(&ProcessId::current());
            let path = layout.run_dir(&self.slug, &self.token).join(name).with_extension(Layout::UNFLUSHED);
            self.unflushed = Unflushed::create(&path).ok();
        }
    }

    /// Whether the ledger has lines that the shard lacks, and it is time to write them there.
    pub(crate) fn is_behind(&self) -> bool {
        !self.behind.is_empty() && self.behind.may_write()
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
        // The parent writes what it promised, and is behind with.
        self.promised.clear();
        self.behind = Behind::default();
        self.notes = Notes::default();
        self.unflushed = None;
        self.unmapped = false;
        self.mapless = false;
        self.hashed.clear();
        self.open = 0;
    }

    fn label(&self, place: &Place, context: ContextId) -> ContextLabel {
        if context == self.import {
            return ContextLabel::import();
        }
        let profile = self.slug.context_label(&place.prefix);
        match self.scopes.iter().find(|scope| scope.context == context) {
            Some(scope) => ContextLabel::new(format!("{profile}:{}", scope.name)),
            None => profile,
        }
    }
}
