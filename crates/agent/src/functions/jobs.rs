//! Jobs: what is promised of them, and what became of it.

use playtrace_ledger::Record;
use pyo3::prelude::*;

use super::parse_names;
use crate::state::with_agent;

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(enqueue, module)?)?;
    module.add_function(wrap_pyfunction!(promised_run, module)?)?;
    module.add_function(wrap_pyfunction!(owed, module)?)?;
    module.add_function(wrap_pyfunction!(withdraw, module)?)?;
    module.add_function(wrap_pyfunction!(job_start, module)?)?;
    module.add_function(wrap_pyfunction!(job_dropped, module)?)?;
    module.add_function(wrap_pyfunction!(lost, module)?)?;
    Ok(())
}

/// Promises a job, before a worker can see it; `again`: one more execution of a job that enqueues itself.
#[pyfunction]
#[pyo3(signature = (slug, run, job, function, queue, again=false))]
fn enqueue(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    job: &str,
    function: &str,
    queue: String,
    again: bool,
) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.enqueue(&slug, &run, job, function, (queue, again)))
}

/// The run that a job was enqueued by, as long as the job's slug can be missing.
#[pyfunction]
fn promised_run(py: Python<'_>, job: &str) -> PyResult<Option<(String, Option<String>)>> {
    with_agent(py, |agent| {
        Ok(agent.recall_job(job).map(|note| {
            let run = (!note.run.is_untokened()).then(|| note.run.as_str().to_owned());
            (note.slug.as_str().to_owned(), run)
        }))
    })
}

/// Work of a run lacks the slug that it owes.
#[pyfunction]
fn owed(py: Python<'_>, slug: &str, run: Option<&str>, what: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, &Record::Owed { what }))
}

/// Takes the promise of a job back.
#[pyfunction]
fn withdraw(py: Python<'_>, slug: &str, run: Option<&str>, job: String, reason: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, &Record::Withdrawn { job, reason }))
}

/// A worker took a job and will not run it; `asked`: because the app asked for that.
#[pyfunction]
fn job_dropped(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    job: String,
    reason: String,
    asked: bool,
) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| {
        // Its note is not needed any more.
        agent.recall_job(&job);
        agent.note(&slug, &run, &Record::Dropped { job, reason, asked })
    })
}

/// A worker is about to start a job.
#[pyfunction]
fn job_start(py: Python<'_>, slug: &str, run: Option<&str>, job: String, worker: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, &Record::JobStart { job, worker }))
}

/// Data of a run is lost.
#[pyfunction]
fn lost(py: Python<'_>, slug: &str, run: Option<&str>, reason: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, &Record::Lost { unit: None, reason }))
}
