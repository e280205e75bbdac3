//! Units of work: their beginning and their end.

use playtrace_ledger::UnitKind;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{Report, parse_names, report};
use crate::agent::{Opened, UnitId, UnitSpec};
use crate::cell::give_back;
use crate::listening::start_monitor;
use crate::state::{AGENT, with_agent};
use crate::token::{self, TokenObject};
use crate::{current, monitor, registry};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(open_unit, module)?)?;
    module.add_function(wrap_pyfunction!(open_within, module)?)?;
    module.add_function(wrap_pyfunction!(close_unit, module)?)?;
    Ok(())
}

/// Opens a unit of work of a run: its number, whether it is the run's first here.
#[pyfunction]
#[pyo3(signature = (slug, run, kind_name, *, step=None, job=None, child=None, what="", scope=None))]
#[allow(clippy::too_many_arguments)] // keyword arguments in Python
pub(crate) fn open_unit(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    kind_name: &str,
    step: Option<u32>,
    job: Option<String>,
    child: Option<String>,
    what: &str,
    scope: Option<String>,
) -> PyResult<(UnitId, bool)> {
    let (slug, run) = parse_names(slug, run)?;
    let mut spec = UnitSpec { kind: kind(kind_name)?, step, job, child, what: what.to_owned(), scope };
    start_monitor(py)?;
    token::settle_gone(py);
    registry::sweep(py);
    let unit = with_agent(py, |agent| {
        if let Some(job) = &spec.job {
            // It came with its slug: the note about it is not needed any more.
            let note = agent.recall_job(job);
            spec.scope = note.map(|note| note.function).filter(|function| !function.is_empty());
        }
        agent.open(&slug, &run, spec)
    })?;
    opened(py, unit)
}

/// Opens a unit of work that belongs where the running code belongs; `None` outside traced work.
#[pyfunction]
#[pyo3(signature = (kind_name, *, child=None, what=""))]
fn open_within(
    py: Python<'_>,
    kind_name: &str,
    child: Option<String>,
    what: &str,
) -> PyResult<Option<UnitId>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    let mut spec = UnitSpec::new(kind(kind_name)?, what);
    spec.child = child;
    let unit = with_agent(py, |agent| agent.open_within(token, spec).transpose())?;
    unit.map(|unit| opened(py, unit).map(|(unit, _)| unit)).transpose()
}

/// Ends a unit: its lines are on disk when this returns. What was written, if there was something new.
///
/// The running code must not belong to it any more. While something else does (a task that was left behind), the unit
/// stays open in the ledger.
#[pyfunction]
pub(crate) fn close_unit(py: Python<'_>, unit: UnitId) -> PyResult<Option<Report>> {
    token::settle_gone(py);
    let held = AGENT.with(py, |state| state.tokens.remove(&unit)).flatten();
    // Tasks that ended may be parts of cycles.
    let is_left = held.as_ref().is_some_and(|token| is_held(token) && collect(py) && is_held(token));
    if !is_left {
        give_back(py, held);
        return with_agent(py, |agent| agent.close(unit)).map(|written| written.map(report));
    }
    let written = with_agent(py, |agent| agent.leave_behind(unit));
    // Only now: the last holder may have gone in the meantime.
    give_back(py, held);
    Ok(written?.map(report))
}

/// Whether anything but us holds a token.
fn is_held(token: &Py<TokenObject>) -> bool {
    // SAFETY: we hold the object, and the interpreter's lock.
    (unsafe { pyo3::ffi::Py_REFCNT(token.as_ptr()) }) > 1
}

/// Frees what was made lately and is reachable no more, unless the app forbade it; true, whatever comes of it.
fn collect(py: Python<'_>) -> bool {
    let _ = py.import("gc").and_then(|gc| {
        // Finalizers are the app's code: with `gc.disable()` it decides itself when they run.
        let enabled = gc.call_method0("isenabled")?.is_truthy()?;
        if enabled { gc.call_method1("collect", (1,)).map(drop) } else { Ok(()) }
    });
    true
}

fn opened(py: Python<'_>, opened: Opened) -> PyResult<(UnitId, bool)> {
    monitor::rearm(py, &opened.rearm);
    let token = Py::new(py, TokenObject::new(opened.unit, opened.token, Some(opened.holders)))?;
    AGENT.with(py, |state| state.tokens.insert(opened.unit, token));
    Ok((opened.unit, opened.first))
}

fn kind(name: &str) -> PyResult<UnitKind> {
    Ok(match name {
        "request" => UnitKind::Request,
        "job" => UnitKind::Job,
        "child" => UnitKind::Child,
        "thread" => UnitKind::Thread,
        "block" => UnitKind::Block,
        _ => return Err(PyValueError::new_err(format!("{name:?} is not a kind of work"))),
    })
}
