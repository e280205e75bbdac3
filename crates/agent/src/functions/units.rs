//! Units of work: their beginning and their end.

use playtrace_ledger::UnitKind;
use playtrace_model::{RunToken, Slug};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::parse_names;
use crate::agent::{Opened, UnitId, UnitSpec};
use crate::listening::start_monitor;
use crate::state::{AGENT, with_agent};
use crate::token::{self, TokenObject};
use crate::{current, engine, monitor, registry};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(open_unit, module)?)?;
    module.add_function(wrap_pyfunction!(open_within, module)?)?;
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
    let spec = UnitSpec { kind: kind(kind_name)?, step, job, child, what: what.to_owned(), scope };
    open(py, slug, run, spec)
}

/// Opens a unit of work of a run: its number, whether it is the run's first here.
pub(crate) fn open(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    spec: UnitSpec,
) -> PyResult<(UnitId, bool)> {
    let (slug, run) = parse_names(slug, run)?;
    open_of(py, &slug, &run, spec)
}

/// The same for names that were looked at.
pub(crate) fn open_of(
    py: Python<'_>,
    slug: &Slug,
    run: &RunToken,
    mut spec: UnitSpec,
) -> PyResult<(UnitId, bool)> {
    // Where there is no room, nothing is listened to either.
    with_agent(py, |agent| agent.check_room(slug, run, spec.kind))?;
    start_monitor(py)?;
    token::settle_gone(py);
    registry::sweep(py);
    if engine::is_present() && engine::is_let_in(spec.kind) {
        engine::admit(py, slug, run, &described(&spec))?;
    }
    let unit = with_agent(py, |agent| {
        if let Some(job) = &spec.job {
            // It came with its slug: the note about it is not needed any more.
            let note = agent.recall_job(job);
            spec.scope = note.map(|note| note.function).filter(|function| !function.is_empty());
        }
        agent.open(slug, run, spec)
    });
    opened(py, unit?)
}

/// What a unit is called where it is not traced.
fn described(spec: &UnitSpec) -> String {
    match &spec.job {
        Some(job) => format!("job {job}"),
        None if spec.what.is_empty() => "a block of traced work".to_owned(),
        None => spec.what.clone(),
    }
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
    if engine::is_present() && engine::is_let_in(spec.kind) {
        let run = AGENT.with(py, |state| engine::run_of(state.agent.as_ref()?, token)).flatten();
        run.map_or(Ok(()), |(slug, run)| engine::admit(py, &slug, &run, &described(&spec)))?;
    }
    let unit = with_agent(py, |agent| agent.open_within(token, spec).transpose())?;
    unit.map(|unit| opened(py, unit).map(|(unit, _)| unit)).transpose()
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
