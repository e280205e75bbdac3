//! The state of the agent in one process: runs, units of work, code objects.
//!
//! Nothing here calls into Python; see [`AttachedCell`](crate::cell::AttachedCell).

mod anyone;
mod by_route;
mod credit;
mod imports;
mod limits;
mod lines;
mod process;
mod resting;
mod scopes;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use playtrace_ledger::{Granularity, Journal, Layout, Record, UnitKind};
use playtrace_model::{RunToken, Slug};
use playtrace_tracer::{CodeId, ContextId, FileId, Rearm, Token, Tracer, Wants};
use rustc_hash::FxHashMap;

use self::anyone::Anyone;
use self::lines::Kept;
use crate::behind::Urgency;
use crate::error::AgentError;
use crate::gate::Gate;
use crate::room::Room;
use crate::run::{Draft, Place, Run, Written, now};
use crate::sources::Sources;
use crate::token::{self, Holders};
use crate::trails::Trails;
use crate::unflushed;

/// The untokened run is asked for again and again, so its faults are looked into again after this time.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) type RunId = u64;
pub(crate) type UnitId = u64;

/// What is about to begin.
#[derive(Debug)]
pub(crate) struct UnitSpec {
    pub(crate) kind: UnitKind,
    pub(crate) step: Option<u32>,
    pub(crate) job: Option<String>,
    pub(crate) child: Option<String>,
    pub(crate) what: String,
    /// Of a child: the scope of what started it. Of a job: its function.
    pub(crate) scope: Option<String>,
}

impl UnitSpec {
    pub(crate) fn new(kind: UnitKind, what: impl Into<String>) -> Self {
        Self { kind, step: None, job: None, child: None, what: what.into(), scope: None }
    }
}

/// A unit that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) unit: UnitId,
    pub(crate) token: Token,
    pub(crate) rearm: Rearm,
    /// For its token object.
    pub(crate) holders: Holders,
    /// Whether it is the first of its run in this process.
    pub(crate) first: bool,
}

/// A child process that was promised.
#[derive(Debug)]
pub(crate) struct Promised {
    pub(crate) child: String,
    pub(crate) slug: Slug,
    pub(crate) run: RunToken,
    /// The scope that its work belongs to.
    pub(crate) scope: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Unit {
    run: RunId,
    context: ContextId,
    kind: UnitKind,
    /// Whether it is over but for what it left behind.
    left: bool,
}

/// The agent of this process.
pub(crate) struct Agent {
    pub(crate) place: Option<Place>,
    pub(crate) gate: Gate,
    room: Room,
    draft: Draft,
    pub(crate) tracer: Tracer,
    pub(crate) sources: Sources,
    /// Registered code objects by address; each is kept alive by the monitor, so no address is used again.
    pub(crate) codes: FxHashMap<usize, CodeId>,
    /// For lines that another engine collected: what stands for the code of a file.
    credited: FxHashMap<FileId, CodeId>,
    /// The unit that lasts as long as the process.
    process_unit: Option<UnitId>,
    runs: BTreeMap<RunId, Run>,
    by_name: BTreeMap<(Slug, RunToken), RunId>,
    owners: FxHashMap<ContextId, RunId>,
    /// Where the last new line was kept, and the one before it under another context or in another file. The next one is nearly
    /// always of one of them: with steps, what is entered and what is executed have a context each.
    kept: [Option<Kept>; 2],
    pub(crate) trails: Trails,
    units: BTreeMap<UnitId, Unit>,
    last_run: RunId,
    /// The run whose work began last.
    latest: RunId,
    last_unit: UnitId,
    last_child: u64,
    /// When runs were last looked through for what may rest, and for what may go.
    rested: Instant,
    retired: Instant,
    /// Faults of writing what waited, which nobody was told of yet.
    unsaid: Vec<String>,
    /// Whether the boot record of this very process is written.
    booted: bool,
    /// Real traffic, if that is recorded.
    anyone: Option<Anyone>,
    /// [`unflushed::forks`] when that was looked at.
    forks: u32,
}

impl Agent {
    pub(crate) fn new(place: Place, sources: Sources, gate: Gate, room: Room) -> Self {
        Self {
            place: Some(place),
            gate,
            room,
            draft: Draft::default(),
            tracer: Tracer::new(),
            sources,
            codes: FxHashMap::default(),
            credited: FxHashMap::default(),
            process_unit: None,
            runs: BTreeMap::new(),
            by_name: BTreeMap::new(),
            owners: FxHashMap::default(),
            kept: [None, None],
            trails: Trails::new(),
            units: BTreeMap::new(),
            last_run: 0,
            latest: 0,
            last_unit: 0,
            last_child: 0,
            rested: Instant::now(),
            retired: Instant::now(),
            unsaid: Vec::new(),
            booted: false,
            anyone: None,
            forks: unflushed::forks(),
        }
    }

    pub(crate) fn place(&self) -> Result<Place, AgentError> {
        self.place.clone().ok_or(AgentError::NotConfigured)
    }

    /// Says in the ledger that an enabled process is here; once a process.
    pub(crate) fn boot(&mut self) -> Result<(), AgentError> {
        if !self.booted {
            let place = self.place()?;
            Journal::open_boot(&Layout::new(&place.directory), place.role, &place.program, now())?;
            self.booted = true;
            // Work horses are forked from here, one for each job. What can't be made now is asked for again when it is needed.
            let _ = self.draft.get();
        }
        Ok(())
    }

    /// Adds to the boot record what the process found and put in place.
    pub(crate) fn tell_setup(&mut self, setup: Record) -> Result<(), AgentError> {
        Ok(Journal::add_to_boot(&Layout::new(&self.place()?.directory), now(), setup)?)
    }

    /// The number of the registered code object at an address.
    #[inline]
    pub(crate) fn code_at(&mut self, address: usize) -> Option<CodeId> {
        self.trails.code(address).or_else(|| {
            let id = *self.codes.get(&address)?;
            self.trails.meet(address, id);
            Some(id)
        })
    }

    /// Forgets the code objects at those addresses: nobody has them any more.
    pub(crate) fn forget_codes(&mut self, addresses: impl Iterator<Item = usize>) {
        self.trails.clear();
        let gone: Vec<CodeId> = addresses.filter_map(|address| self.codes.remove(&address)).collect();
        self.tracer.remove_codes(&gone);
    }

    /// Opens a unit of work of a run.
    pub(crate) fn open(
        &mut self,
        slug: &Slug,
        token: &RunToken,
        spec: UnitSpec,
    ) -> Result<Opened, AgentError> {
        let (id, first) = self.run(slug, token)?;
        let context = match self.scope_name(&spec, id) {
            Some(name) => self.scope(id, name),
            None => self.runs[&id].profile,
        };
        self.open_unit(id, context, spec, first)
    }

    /// Opens a unit of work that belongs to where `token` belongs: a thread started by traced work, say.
    pub(crate) fn open_within(&mut self, token: Token, spec: UnitSpec) -> Option<Result<Opened, AgentError>> {
        let context = self.tracer.resolve(token)?;
        let id = *self.owners.get(&context)?;
        Some(self.open_unit(id, context, spec, false))
    }

    fn open_unit(
        &mut self,
        id: RunId,
        context: ContextId,
        spec: UnitSpec,
        first: bool,
    ) -> Result<Opened, AgentError> {
        self.last_unit += 1;
        let unit = self.last_unit;
        let UnitSpec { kind, step, job, child, what, .. } = spec;
        let scope = self.runs.get_mut(&id).and_then(|run| run.scope_of(context));
        let scope = scope.map(|scope| {
            scope.units += 1;
            scope.name.clone()
        });
        let opened =
            self.promise(id, &Record::Open { unit: unit.to_string(), kind, step, job, child, what, scope });
        if let Err(error) = opened {
            self.leave_scope(id, context);
            return Err(error);
        }
        let mut rearm = Vec::new();
        if self.granularity() == Granularity::Steps {
            // The scope's lines go there.
            rearm = self.tracer.activate(self.runs[&id].profile).rearm;
        }
        let activation = self.tracer.activate(context);
        rearm.extend(activation.rearm);
        let mut holders = Holders::default();
        if let Some(run) = self.runs.get_mut(&id) {
            run.open += 1;
            run.last_used = Instant::now();
            if context == run.import {
                run.imports += 1;
            }
            holders = Arc::clone(&run.holders);
        }
        self.units.insert(unit, Unit { run: id, context, kind, left: false });
        Ok(Opened { unit, token: activation.token, rearm, holders, first })
    }

    fn granularity(&self) -> Granularity {
        self.place.as_ref().map(|place| place.granularity).unwrap_or_default()
    }

    /// Ends a unit: its lines go to disk, then the ledger says so. A unit that is not open here (it was the parent
    /// process's) is nothing.
    pub(crate) fn close(&mut self, unit: UnitId) -> Result<Option<Written>, AgentError> {
        let Some(Unit { run: id, context, .. }) = self.units.get(&unit).copied() else { return Ok(None) };
        let result = self.put_down(unit);
        self.leave_scope(id, context);
        if let Some(run) = self.runs.get(&id).filter(|run| run.is_idle()) {
            self.tracer.sleep(run.profile);
        }
        result
    }

    /// The same where code of the unit may still run: what it executes is kept, and written with the next flush.
    fn put_down(&mut self, unit: UnitId) -> Result<Option<Written>, AgentError> {
        let Some(Unit { run: id, context, kind, left }) = self.units.remove(&unit) else { return Ok(None) };
        if left {
            token::count_left(false);
        }
        // A job's process may end without a word; where requests come, others do, or it ends in an orderly way.
        let urgency = match kind {
            UnitKind::Request | UnitKind::Thread => Urgency::Soon,
            UnitKind::Job | UnitKind::Child | UnitKind::Block => Urgency::Now,
        };
        let result = self.flush_run(id, Some(&unit.to_string()), urgency);
        if let Some(run) = self.runs.get_mut(&id) {
            run.open = run.open.saturating_sub(1);
            run.last_used = Instant::now();
            if context == run.import {
                self.end_import(id);
            }
        }
        result
    }

    /// A unit is over, but something that it left behind may go on: its lines so far go to disk, and it stays open
    /// until nothing is left.
    pub(crate) fn leave_behind(&mut self, unit: UnitId) -> Result<Option<Written>, AgentError> {
        let Some(Unit { run: id, left, .. }) = self.units.get_mut(&unit) else { return Ok(None) };
        if !std::mem::replace(left, true) {
            token::count_left(true);
        }
        let id = *id;
        let written = self.flush_run(id, None, Urgency::Soon)?;
        self.append(id, &Record::Left { unit: unit.to_string() })?;
        Ok(written)
    }

    /// Nothing that could run under a unit is left.
    pub(crate) fn settle(&mut self, unit: UnitId) {
        if self.units.get(&unit).is_some_and(|unit| unit.left) {
            // There is nobody to tell; the run's ledger has the fault, or the open unit tells of it.
            let _ = self.close(unit);
        }
    }

    /// The run of that name, made if need be; whether it is new.
    fn run(&mut self, slug: &Slug, token: &RunToken) -> Result<(RunId, bool), AgentError> {
        self.retire_idle();
        self.expect_rest();
        self.rest_idle();
        if let Some(id) = self.id_of(slug, token) {
            self.latest = id;
            let run = &self.runs[&id];
            // Without tokens, nothing but the disappearance of its shard tells that one run ended and another began.
            let over = run.open == 0 && token.is_untokened() && run.shard_is_gone();
            let retry = run.off.is_some() && token.is_untokened() && run.last_used.elapsed() > RETRY;
            if !over && !retry {
                return match &run.off {
                    Some(reason) => Err(AgentError::SwitchedOff { reason: reason.clone() }),
                    None => Ok((id, false)),
                };
            }
            self.remove_run(id);
        }
        let wants = if self.granularity() == Granularity::Symbol { Wants::Entries } else { Wants::Lines };
        let (profile, import) = (self.tracer.add_context(wants, None), self.tracer.add_context(wants, None));
        self.last_run += 1;
        let id = self.last_run;
        self.runs.insert(id, Run::new(slug.clone(), token.clone(), profile, import));
        self.by_name.insert((slug.clone(), token.clone()), id);
        self.latest = id;
        self.owners.insert(profile, id);
        self.owners.insert(import, id);
        Ok((id, true))
    }

    /// The number of a run that is known here. Most requests are of the one that came last.
    pub(super) fn id_of(&self, slug: &Slug, token: &RunToken) -> Option<RunId> {
        let is_latest = |run: &&Run| run.slug == *slug && run.token == *token;
        match self.runs.get(&self.latest).filter(is_latest) {
            Some(_) => Some(self.latest),
            None => self.by_name.get(&(slug.clone(), token.clone())).copied(),
        }
    }

    fn remove_run(&mut self, id: RunId) -> Option<Run> {
        let run = self.runs.remove(&id)?;
        self.by_name.remove(&(run.slug.clone(), run.token.clone()));
        for context in run.contexts() {
            self.forget_context(context);
        }
        Some(run)
    }

    /// The run that a token belongs to.
    pub(crate) fn run_of(&self, token: Token) -> Option<&Run> {
        self.runs.get(self.owners.get(&self.tracer.resolve(token)?)?)
    }
}
