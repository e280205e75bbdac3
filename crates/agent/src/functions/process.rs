//! The process: its children, a fork, its end, and what it writes in between.

use pyo3::prelude::*;

use crate::agent::{Agent, UnitId};
use crate::ending::{Report, report};
use crate::error::{AgentError, raise};
use crate::listening::start_monitor;
use crate::run::Written;
use crate::state::{AGENT, Listening, with_agent};
use crate::{current, engine, monitor, registry, token, untold};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(spawn, module)?)?;
    module.add_function(wrap_pyfunction!(set_process_unit, module)?)?;
    module.add_function(wrap_pyfunction!(after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(flush, module)?)?;
    module.add_function(wrap_pyfunction!(finish, module)?)?;
    module.add_function(wrap_pyfunction!(rest, module)?)?;
    module.add_function(wrap_pyfunction!(unsaid, module)?)?;
    module.add_function(wrap_pyfunction!(traffic, module)?)?;
    module.add_function(wrap_pyfunction!(pretend, module)?)?;
    Ok(())
}

/// What a child process is told: its token, slug, run and scope.
type ChildOf = (String, String, Option<String>, Option<String>);

/// Promises a child process of the running code: the child's token, slug, run and scope. `None` outside traced work.
#[pyfunction]
fn spawn(py: Python<'_>, command: String, python: bool) -> PyResult<Option<ChildOf>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    with_agent(py, |agent| {
        Ok(agent.spawn(token, command, python).map(|promised| {
            let run = (!promised.run.is_untokened()).then(|| promised.run.as_str().to_owned());
            (promised.child, promised.slug.as_str().to_owned(), run, promised.scope)
        }))
    })
}

/// Makes a unit the one that ends with the process; all work without a token of its own belongs to it.
#[pyfunction]
fn set_process_unit(py: Python<'_>, unit: UnitId) -> PyResult<()> {
    with_agent(py, |agent| {
        agent.set_process_unit(unit);
        Ok(())
    })?;
    let token = AGENT.with(py, |state| state.tokens.get(&unit).map(|token| token.get().token())).flatten();
    current::set_base(token);
    engine::follow(py)?;
    if let Some(token) = token {
        monitor::rearm_stack(py, token);
    }
    Ok(())
}

/// Starts over in a forked child; whether the running code belongs to a run there.
#[pyfunction]
fn after_fork(py: Python<'_>) -> PyResult<bool> {
    untold::told();
    token::forget_left(py);
    let forked = engine::after_fork(py);
    let token = current::token(py);
    // The units are the parent's; what still holds one of their tokens keeps it.
    let parents = AGENT.with(py, |state| std::mem::take(&mut state.tokens));
    drop(parents);
    AGENT.with(py, |state| {
        if matches!(state.listening, Listening::Begins) {
            // The thread that was at it is the parent's.
            state.listening = Listening::Not;
        }
    });
    let Some((kept, rearm)) = AGENT.with(py, |state| Some(state.agent.as_mut()?.after_fork(token))).flatten()
    else {
        return Ok(false);
    };
    monitor::rearm(py, &rearm);
    if kept {
        if let Some(token) = token {
            monitor::rearm_stack(py, token);
        }
    } else {
        current::set_base(None);
        current::put(py, None)?;
    }
    forked.and(Ok(kept))
}

/// Writes what is new in every run.
#[pyfunction]
fn flush(py: Python<'_>) -> PyResult<Vec<Report>> {
    let drained = engine::drain(py);
    let results = with_agent(py, |agent| Ok(agent.flush_all()))?;
    drained.and(reports(results))
}

/// The process ends: closes its unit and writes what is left.
#[pyfunction]
fn finish(py: Python<'_>) -> PyResult<Vec<Report>> {
    let drained = engine::drain(py);
    let results = with_agent(py, |agent| Ok(agent.finish()))?;
    drained.and(reports(results))
}

/// All reports, or the first error: every run was flushed in any case.
fn reports(results: Vec<Result<Option<Written>, AgentError>>) -> PyResult<Vec<Report>> {
    let mut reports = Vec::new();
    for result in results {
        reports.extend(result.map_err(|error| raise(&error))?.map(report));
    }
    Ok(reports)
}

/// A request that is not traced passes by: time to see whether anything is still worth listening for.
#[pyfunction]
fn rest(py: Python<'_>) {
    token::settle_gone(py);
    let unneeded = AGENT.with(py, |state| state.agent.as_mut().map(Agent::rest)).flatten();
    monitor::disarm(py, &unneeded.unwrap_or_default());
}

/// Faults of what was written by the way, between one request's work and another's.
#[pyfunction]
fn unsaid(py: Python<'_>) -> Vec<String> {
    AGENT.with(py, |state| state.agent.as_mut().map(Agent::take_unsaid)).flatten().unwrap_or_default()
}

/// A request or job that belongs to no profile begins: real traffic, if that is recorded. Before the first one nobody listens.
#[pyfunction]
fn traffic(py: Python<'_>) -> PyResult<()> {
    // A signal's handler may have raised where the last one was about to be left.
    current::set_route(None);
    let awaited = AGENT.with(py, |state| state.agent.as_ref().is_some_and(Agent::awaits_anyone));
    if awaited == Some(true)
        && let Err(error) = start_monitor(py)
    {
        AGENT.with(py, |state| state.agent.as_mut().map(Agent::give_anyone_up));
        return Err(error);
    }
    registry::sweep(py);
    let rearm = with_agent(py, Agent::meet_anyone)?;
    monitor::rearm(py, &rearm);
    Ok(())
}

/// Has real traffic be recorded as if a moment were now: milliseconds since 1970-01-01 UTC. For tests, which are about the wheel that is released: it is
/// in there, and harmless, because who can call it runs in the app's process, and could set the clock of `time`, or write into the data, as well.
#[pyfunction]
#[pyo3(signature = (moment))]
fn pretend(py: Python<'_>, moment: Option<u64>) -> PyResult<()> {
    with_agent(py, |agent| {
        agent.pretend(moment);
        Ok(())
    })
}
