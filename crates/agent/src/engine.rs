//! The engine on top of coverage.py, for interpreters without `sys.monitoring`: when its trace function is set in a thread, and whose the
//! lines are that it hands over.
//!
//! coverage.py asks nobody whose code it sees. So its trace function is set in a thread just as long as what runs there is traced work, anew
//! for each context, and what it collects until it is taken away is that context's alone. That is fetched wherever work of a run, or an
//! import, ends. `docs/adr/0012-coverage-engine.md` tells the rest.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use playtrace_ledger::{Record, UnitKind};
use playtrace_model::{RunToken, Slug};
use playtrace_tracer::{ContextId, Token};
use pyo3::prelude::*;

use crate::agent::{Agent, RunId};
use crate::current::{self, Nobodys};
use crate::error::{AgentError, raise};
use crate::state::{AGENT, with_agent};
use crate::token;

/// Whether this process has the engine. Nearly always not, and then all of this is nothing.
static PRESENT: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whose work the trace function is set for in this thread, if it is set.
    static ON: Cell<Option<Owner>> = const { Cell::new(None) };
}

/// Whose lines something collects: a context, while it is that run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) run: RunId,
    pub(crate) context: ContextId,
    /// What runs is within its work, in a context that knows nothing of it: whose the lines are can't be told.
    pub(crate) elsewhere: bool,
}

/// The same, for Python to keep with the lines.
#[pyclass(frozen, module = "playtrace_agent._native", name = "Owner")]
pub(crate) struct OwnerObject(Owner);

/// Lines of a file: whose they are, its name, the module that runs in it if that is known, line numbers.
type Collected<'py> = Vec<(Bound<'py, OwnerObject>, String, Option<String>, Vec<u32>)>;

/// Lets the engine, a `coverage_engine.CoverageEngine`, be the source of lines in this process.
pub(crate) fn set(py: Python<'_>, object: Py<PyAny>) {
    AGENT.with(py, |state| state.engine = Some(object));
    PRESENT.store(true, Ordering::Relaxed);
}

/// Whether the engine is the source of lines in this process.
#[inline]
pub(crate) fn is_present() -> bool {
    PRESENT.load(Ordering::Relaxed)
}

fn object(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let object = AGENT.with(py, |state| state.engine.as_ref().map(|object| object.clone_ref(py)));
    object.flatten().map(|object| object.into_bound(py))
}

/// Lets a unit of a run begin, or says in the run's ledger and to the caller why it can't be traced where it runs.
pub(crate) fn admit(py: Python<'_>, slug: &Slug, run: &RunToken, what: &str) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let Some(reason) = engine.call_method0("admit")?.extract::<Option<String>>()? else { return Ok(()) };
    let lost = if what.is_empty() { reason.clone() } else { format!("{what} is not traced: {reason}") };
    let noted = with_agent(py, |agent| agent.note(slug, run, &Record::Lost { unit: None, reason: lost }));
    noted.and(Err(raise(&AgentError::Engine { reason })))
}

/// In a forked child: what was collected is the parent's.
pub(crate) fn after_fork(py: Python<'_>) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    off(py)?;
    engine.call_method0("after_fork").map(drop)
}

/// Sets the trace function in this thread, or takes it away: what the variable holds has changed, or what it means.
#[inline]
pub(crate) fn follow(py: Python<'_>) -> PyResult<()> {
    if is_present() { switch(py) } else { Ok(()) }
}

#[cold]
fn switch(py: Python<'_>) -> PyResult<()> {
    let wanted = match current::look(py) {
        Ok(token) => owner(py, token, false),
        Err(Nobodys::Elsewhere(token)) => owner(py, token, true),
        Err(Nobodys::Outside) => None,
    };
    let before = ON.get();
    if wanted == before {
        return Ok(());
    }
    off(py)?;
    // Work that was left behind ends without a word: its unit is closed when its token goes, which may be next.
    let fetched = if before.is_some() && token::any_left() { fetch(py) } else { Ok(()) };
    if let Some(owner) = wanted {
        on(py, owner)?;
    }
    fetched
}

fn owner(py: Python<'_>, token: Token, elsewhere: bool) -> Option<Owner> {
    let owner = AGENT.with(py, |state| state.agent.as_ref()?.owner_of(token)).flatten();
    owner.map(|owner| Owner { elsewhere, ..owner })
}

/// The trace function is set by the last thing that happens here: nothing of ours runs under it.
fn on(py: Python<'_>, owner: Owner) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let begin = engine.call_method1("arm", (OwnerObject(owner),))?;
    if !begin.is_none() {
        begin.call0()?;
        ON.set(Some(owner));
    }
    Ok(())
}

fn off(py: Python<'_>) -> PyResult<()> {
    if ON.replace(None).is_some() {
        py.import("sys")?.call_method1("settrace", (py.None(),))?;
        // Only now: it is Python's, and would be traced.
        object(py).map_or(Ok(()), |engine| engine.call_method0("disarmed").map(drop))?;
    }
    Ok(())
}

/// Fetches what was collected since the last time, and credits it.
pub(crate) fn drain(py: Python<'_>) -> PyResult<()> {
    if !is_present() {
        return Ok(());
    }
    off(py)?;
    let fetched = fetch(py);
    fetched.and(switch(py))
}

/// The same where no trace function is set in this thread.
fn fetch(py: Python<'_>) -> PyResult<()> {
    let Some(engine) = object(py) else { return Ok(()) };
    let collected: Collected<'_> = engine.call_method0("drain")?.extract()?;
    AGENT.with(py, |state| {
        let Some(agent) = state.agent.as_mut() else { return };
        for (owner, file, module, lines) in &collected {
            agent.credit(owner.get().0, file, module.as_deref(), lines);
        }
    });
    Ok(())
}

/// Whether a unit of that kind asks to be let in: others belong to one that did.
pub(crate) fn is_let_in(kind: UnitKind) -> bool {
    kind != UnitKind::Thread
}

/// Names of the run that a token belongs to.
pub(crate) fn run_of(agent: &Agent, token: Token) -> Option<(Slug, RunToken)> {
    agent.run_of(token).map(|run| (run.slug.clone(), run.token.clone()))
}
