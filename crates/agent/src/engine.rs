//! The engine on top of coverage.py, for interpreters without `sys.monitoring`: when its trace function is set in a thread, and whose
//! the lines are that it hands over.
//!
//! coverage.py collects for a whole process and asks nobody whose code it sees. So its trace function is set in a thread just as long as
//! what runs there belongs to the one run that is let in (`coverage_engine.py` lets in), anew for an import; and what it collected is
//! fetched wherever work of a run, or an import, ends. `docs/adr/0012-coverage-engine.md` tells the rest.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use playtrace_ledger::{Record, UnitKind};
use playtrace_model::{RunToken, Slug};
use playtrace_tracer::{ContextId, Token};
use pyo3::prelude::*;

use crate::agent::{Agent, UnitId};
use crate::current;
use crate::error::{AgentError, raise};
use crate::state::{AGENT, with_agent};

/// Whether this process has the engine. Nearly always not, and then all of this is nothing.
static PRESENT: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the trace function is set in this thread, and what for.
    static ON: Cell<Option<Work>> = const { Cell::new(None) };
}

/// What a thread does for the run that is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The profile's.
    Own,
    /// It runs the code of an import.
    Import,
}

/// Lines of a file: whether an import ran them, its name, the module that runs in it if that is known, line numbers.
pub(crate) type Collected = Vec<(bool, String, Option<String>, Vec<u32>)>;

/// What the engine works for.
pub(crate) struct Engine {
    /// `coverage_engine.CoverageEngine`.
    object: Py<PyAny>,
    /// The contexts whose work is traced: the first one's are the lines.
    members: Vec<ContextId>,
    /// Units that keep others out until they end.
    holders: BTreeSet<UnitId>,
}

/// Lets the engine be the source of lines in this process.
pub(crate) fn set(py: Python<'_>, object: Py<PyAny>) {
    let engine = Engine { object, members: Vec::new(), holders: BTreeSet::new() };
    AGENT.with(py, |state| state.engine = Some(engine));
    PRESENT.store(true, Ordering::Relaxed);
}

/// Whether the engine is the source of lines in this process.
#[inline]
pub(crate) fn is_present() -> bool {
    PRESENT.load(Ordering::Relaxed)
}

fn object(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let object = AGENT.with(py, |state| state.engine.as_ref().map(|engine| engine.object.clone_ref(py)));
    object.flatten().map(|object| object.into_bound(py))
}

/// Lets a unit of a run in, or says in the run's ledger and to the caller why not. May wait.
pub(crate) fn admit(py: Python<'_>, slug: &Slug, run: &RunToken, what: &str) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let token = (!run.is_untokened()).then(|| run.as_str());
    let Some(reason) = engine.call_method1("admit", (slug.as_str(), token))?.extract::<Option<String>>()?
    else {
        return Ok(());
    };
    let lost = if what.is_empty() { reason.clone() } else { format!("{what} is not traced: {reason}") };
    let noted = with_agent(py, |agent| agent.note(slug, run, Record::Lost { unit: None, reason: lost }));
    noted.and(Err(raise(&AgentError::Engine { reason })))
}

/// A unit that was let in is open, under that token; or it could not be opened.
pub(crate) fn joined(py: Python<'_>, opened: Option<(UnitId, Token)>) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let Some((unit, token)) = opened else { return engine.call_method1("release", (true,)).map(drop) };
    AGENT.with(py, |state| {
        let (Some(engine), Some(agent)) = (&mut state.engine, &state.agent) else { return };
        engine.holders.insert(unit);
        if let Some(context) = agent.tracer.resolve(token).filter(|context| !engine.members.contains(context))
        {
            engine.members.push(context);
        }
    });
    Ok(())
}

/// A unit is over: the last one lets others in.
pub(crate) fn left(py: Python<'_>, unit: UnitId) -> PyResult<()> {
    let held = AGENT.with(py, |state| {
        let engine = state.engine.as_mut()?;
        let held = engine.holders.remove(&unit);
        let agent = state.agent.as_ref()?;
        held.then(|| agent.has_open_threads(&engine.members))
    });
    let (Some(lingering), Some(engine)) = (held.flatten(), object(py)) else { return Ok(()) };
    engine.call_method1("release", (lingering,)).map(drop)
}

/// Another run is let in: what threads of the one before still execute is lost from here on. Says whether there are any.
pub(crate) fn over(py: Python<'_>) -> PyResult<bool> {
    let drained = drain(py);
    let missed = AGENT.with(py, |state| {
        let (engine, agent) = (state.engine.as_mut()?, state.agent.as_mut()?);
        let members = std::mem::take(&mut engine.members);
        Some(agent.miss_threads(&members))
    });
    drained.map(|()| missed.flatten().unwrap_or(false))
}

/// In a forked child: what was collected is the parent's, and nobody is let in.
pub(crate) fn after_fork(py: Python<'_>) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    off(py)?;
    AGENT.with(py, |state| {
        if let Some(engine) = &mut state.engine {
            engine.members.clear();
            engine.holders.clear();
        }
    });
    engine.call_method0("after_fork").map(drop)
}

/// Sets the trace function in this thread, or takes it away: what the variable holds has changed, or what it means.
#[inline]
pub(crate) fn follow(py: Python<'_>) -> PyResult<()> {
    if is_present() { switch(py) } else { Ok(()) }
}

#[cold]
fn switch(py: Python<'_>) -> PyResult<()> {
    let wanted = current::token(py).and_then(|token| work_of(py, token));
    if wanted == ON.get() {
        return Ok(());
    }
    off(py)?;
    wanted.map_or(Ok(()), |work| on(py, work))
}

/// What the work of a token is to the run that is let in; `None`: it is not that run's.
fn work_of(py: Python<'_>, token: Token) -> Option<Work> {
    let found = AGENT.with(py, |state| {
        let (engine, agent) = (state.engine.as_ref()?, state.agent.as_mut()?);
        let context = agent.tracer.resolve(token)?;
        if engine.members.contains(&context) {
            return Some(Work::Own);
        }
        let import = engine.members.first().and_then(|first| agent.import_of(*first));
        if import == Some(context) {
            return Some(Work::Import);
        }
        agent.miss_other(token);
        None
    });
    found.flatten()
}

/// The trace function is set by the last thing that happens here: nothing of ours runs under it.
fn on(py: Python<'_>, work: Work) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let begin = engine.call_method1("arm", (work == Work::Import,))?;
    if !begin.is_none() {
        begin.call0()?;
        ON.set(Some(work));
    }
    Ok(())
}

fn off(py: Python<'_>) -> PyResult<()> {
    if ON.replace(None).is_some() {
        py.import("sys")?.call_method1("settrace", (py.None(),))?;
    }
    Ok(())
}

/// Fetches what was collected since the last time; the lines are those of the run that is let in.
pub(crate) fn drain(py: Python<'_>) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    off(py)?;
    let collected: PyResult<Collected> = engine.call_method0("drain").and_then(|lines| lines.extract());
    if let Ok(collected) = &collected {
        AGENT.with(py, |state| {
            let (engine, agent) = (state.engine.as_ref()?, state.agent.as_mut()?);
            agent.credit(*engine.members.first()?, collected);
            Some(())
        });
    }
    collected.and(switch(py))
}

/// Whether a unit of that kind is let in by itself: others belong to one that is.
pub(crate) fn is_let_in(kind: UnitKind) -> bool {
    kind != UnitKind::Thread
}

/// Names of the run that a token belongs to.
pub(crate) fn run_of(agent: &Agent, token: Token) -> Option<(Slug, RunToken)> {
    agent.run_of(token).map(|run| (run.slug.clone(), run.token.clone()))
}
