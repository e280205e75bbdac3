//! The glue between CPython's `sys.monitoring` and playtrace's tracer: the module `playtrace_agent._native`.
//!
//! Everything that decides something is elsewhere: which places go on being reported in the tracer, how shards look in
//! covdata, what is promised in the ledger. Here is what needs the interpreter ([`monitor`], [`current`], [`imports`])
//! and the state of one process ([`agent`]).

mod agent;
mod cell;
mod current;
mod error;
mod imports;
mod jobs;
mod monitor;
mod run;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use playtrace_covdata::Installation;
use playtrace_ledger::{Record, Role, UnitKind};
use playtrace_model::{RunToken, Slug};
use playtrace_tracer::{CodeId, Token};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use crate::agent::{Agent, Opened, UnitId, UnitSpec};
use crate::cell::AttachedCell;
use crate::error::AgentError;
use crate::monitor::Monitor;
use crate::run::{Place, Written};
use crate::sources::Sources;

create_exception!(
    _native,
    TraceError,
    PyException,
    "Why work is not traced; `code` names the kind of fault."
);

create_exception!(
    _native,
    SwitchedOffError,
    TraceError,
    "An earlier fault, said already, switched the run off."
);

/// The state of this process.
struct State {
    agent: Option<Agent>,
    monitor: Option<Arc<Monitor>>,
    /// The registered code objects, kept alive.
    objects: BTreeMap<CodeId, Py<PyAny>>,
}

static AGENT: AttachedCell<State> =
    AttachedCell::new(State { agent: None, monitor: None, objects: BTreeMap::new() });

/// What a flush wrote: the shard's name, how many files, how many lines.
type Report = (String, usize, usize);

fn report(written: Written) -> Report {
    (written.shard, written.files, written.lines)
}

/// `AgentError` and `PyErr` both become exceptions.
fn raise(error: &AgentError) -> PyErr {
    let message = format!("{error} [{}]", error.code());
    match error {
        AgentError::Slug(_) | AgentError::Run(_) => PyValueError::new_err(message),
        AgentError::SwitchedOff { .. } => SwitchedOffError::new_err(message),
        _ => TraceError::new_err(message),
    }
}

/// Runs `f` on the configured agent.
fn with_agent<R>(py: Python<'_>, f: impl FnOnce(&mut Agent) -> Result<R, AgentError>) -> PyResult<R> {
    AGENT
        .with(py, |state| state.agent.as_mut().map_or(Err(AgentError::NotConfigured), f))
        .unwrap_or(Err(AgentError::NotConfigured))
        .map_err(|error| raise(&error))
}

fn parse_names(slug: &str, run: Option<&str>) -> PyResult<(Slug, RunToken)> {
    let slug = Slug::parse(slug).map_err(|error| raise(&error.into()))?;
    let run = run.map_or_else(|| Ok(RunToken::untokened()), RunToken::parse);
    Ok((slug, run.map_err(|error| raise(&error.into()))?))
}

fn role(name: &str) -> PyResult<Role> {
    Ok(match name {
        "web" => Role::Web,
        "worker" => Role::Worker,
        "job" => Role::Job,
        "child" => Role::Child,
        "other" => Role::Other,
        _ => return Err(PyValueError::new_err(format!("{name:?} is not a role"))),
    })
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

/// Takes the tool ids at the first traced work of the process.
fn start_monitor(py: Python<'_>) -> PyResult<()> {
    if AGENT.with(py, |state| state.monitor.is_some()).unwrap_or(true) {
        return Ok(());
    }
    let monitor = Monitor::start(py).map_err(|error| raise(&error))?;
    AGENT.with(py, |state| state.monitor = Some(Arc::new(monitor)));
    monitor::scout_running(py)
}

fn opened(py: Python<'_>, opened: &Opened) -> (UnitId, u64, bool) {
    monitor::rearm(py, &opened.rearm);
    (opened.unit, opened.token.raw(), opened.first)
}

/// Sets the agent up. Nothing is traced yet. Answers with the configuration's keys that have no effect here.
#[pyfunction]
#[pyo3(signature = (*, directory, root, config, prefix, role_name, program, stdlib, third_party, tracers))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments, as Python hands them over
fn configure(
    py: Python<'_>,
    directory: PathBuf,
    root: PathBuf,
    config: Option<PathBuf>,
    prefix: String,
    role_name: &str,
    program: String,
    stdlib: Vec<PathBuf>,
    third_party: Vec<PathBuf>,
    tracers: Vec<PathBuf>,
) -> PyResult<Vec<String>> {
    let place = Place { directory, prefix, role: role(role_name)?, program };
    let config = sources::read_config(config.as_deref()).map_err(|error| raise(&error))?;
    let notices = config.notices.iter().map(|notice| {
        format!("{}:{}: {} has no effect: {}", notice.path.display(), notice.line, notice.key, notice.why)
    });
    let notices = notices.collect();
    let installed = Installation { stdlib, third_party, tracers };
    let sources = Sources::new(&config, &root, &installed).map_err(|error| raise(&error))?;
    AGENT.with(py, |state| {
        if state.agent.is_none() {
            state.agent = Some(Agent::new(place, sources));
        }
    });
    Ok(notices)
}

/// Changes what this process says that it does.
#[pyfunction]
fn set_role(py: Python<'_>, role_name: &str) -> PyResult<()> {
    let role = role(role_name)?;
    with_agent(py, |agent| {
        if let Some(place) = &mut agent.place {
            place.role = role;
        }
        Ok(())
    })
}

/// Says in the ledger that an enabled process is here.
#[pyfunction]
fn boot(py: Python<'_>) -> PyResult<()> {
    with_agent(py, Agent::boot)
}

/// Checks a slug and a run token.
#[pyfunction]
#[pyo3(signature = (slug, run=None))]
fn check_names(slug: &str, run: Option<&str>) -> PyResult<()> {
    parse_names(slug, run).map(|_| ())
}

/// Opens a unit of work of a run: its number, its token, whether it is the run's first here.
#[pyfunction]
#[pyo3(signature = (slug, run, kind_name, *, step=None, job=None, child=None, what=""))]
#[allow(clippy::too_many_arguments)] // keyword arguments in Python
fn open_unit(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    kind_name: &str,
    step: Option<u32>,
    job: Option<String>,
    child: Option<String>,
    what: &str,
) -> PyResult<(UnitId, u64, bool)> {
    let (slug, run) = parse_names(slug, run)?;
    let spec = UnitSpec { kind: kind(kind_name)?, step, job, child, what: what.to_owned() };
    start_monitor(py)?;
    let unit = with_agent(py, |agent| {
        if let Some(job) = &spec.job {
            // It came with its slug: the note about it is not needed any more.
            agent.recall_job(job);
        }
        agent.open(&slug, &run, spec)
    })?;
    Ok(opened(py, &unit))
}

/// Opens a unit of work that belongs where the running code belongs; `None` outside traced work.
#[pyfunction]
#[pyo3(signature = (kind_name, *, child=None, what=""))]
fn open_within(
    py: Python<'_>,
    kind_name: &str,
    child: Option<String>,
    what: &str,
) -> PyResult<Option<(UnitId, u64, bool)>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    let mut spec = UnitSpec::new(kind(kind_name)?, what);
    spec.child = child;
    let unit = with_agent(py, |agent| agent.open_within(token, spec).transpose())?;
    Ok(unit.map(|unit| opened(py, &unit)))
}

/// Ends a unit: its lines are on disk when this returns. What was written, if there was something new.
#[pyfunction]
fn close_unit(py: Python<'_>, unit: UnitId) -> PyResult<Option<Report>> {
    Ok(with_agent(py, |agent| agent.close(unit))?.map(report))
}

/// Lets the running code belong to `token` (`None`: to nobody); answers with what it belonged to before.
#[pyfunction]
#[pyo3(signature = (token))]
fn enter(py: Python<'_>, token: Option<u64>) -> PyResult<Option<u64>> {
    let before = current::own(py);
    let token = token.map(Token::from_raw);
    current::set(py, token)?;
    if let Some(token) = token {
        monitor::rearm_stack(py, token)?;
    }
    Ok(before.map(Token::raw))
}

/// The token of the running code.
#[pyfunction]
fn current_token(py: Python<'_>) -> Option<u64> {
    current::token(py).map(Token::raw)
}

/// Slug and run (`None` for the untokened one) of the running code.
#[pyfunction]
fn current_run(py: Python<'_>) -> PyResult<Option<(String, Option<String>)>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    with_agent(py, |agent| {
        Ok(agent.run_of(token).map(|run| {
            let token = (!run.token.is_untokened()).then(|| run.token.as_str().to_owned());
            (run.slug.as_str().to_owned(), token)
        }))
    })
}

/// Promises a job, before a worker can see it.
#[pyfunction]
fn enqueue(
    py: Python<'_>,
    slug: &str,
    run: Option<&str>,
    job: String,
    function: String,
    queue: String,
) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| {
        agent.remember_job(&job, &slug, &run);
        agent.note(&slug, &run, Record::Enqueue { job, function, queue })
    })
}

/// The run that a job was enqueued by, as long as the job's slug can be missing.
#[pyfunction]
fn promised_run(py: Python<'_>, job: &str) -> PyResult<Option<(String, Option<String>)>> {
    with_agent(py, |agent| {
        Ok(agent.recall_job(job).map(|(slug, run)| {
            let run = (!run.is_untokened()).then(|| run.as_str().to_owned());
            (slug.as_str().to_owned(), run)
        }))
    })
}

/// Work of a run lacks the slug that it owes.
#[pyfunction]
fn owed(py: Python<'_>, slug: &str, run: Option<&str>, what: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, Record::Owed { what }))
}

/// Takes the promise of a job back.
#[pyfunction]
fn withdraw(py: Python<'_>, slug: &str, run: Option<&str>, job: String, reason: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, Record::Withdrawn { job, reason }))
}

/// A worker is about to start a job.
#[pyfunction]
fn job_start(py: Python<'_>, slug: &str, run: Option<&str>, job: String, worker: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, Record::JobStart { job, worker }))
}

/// Data of a run is lost.
#[pyfunction]
fn lost(py: Python<'_>, slug: &str, run: Option<&str>, reason: String) -> PyResult<()> {
    let (slug, run) = parse_names(slug, run)?;
    with_agent(py, |agent| agent.note(&slug, &run, Record::Lost { unit: None, reason }))
}

/// Promises a child process of the running code; the child's token, slug and run. `None` outside traced work.
#[pyfunction]
fn spawn(
    py: Python<'_>,
    command: String,
    python: bool,
) -> PyResult<Option<(String, String, Option<String>)>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    with_agent(py, |agent| {
        Ok(agent.spawn(token, command, python).map(|(child, slug, run)| {
            let run = (!run.is_untokened()).then(|| run.as_str().to_owned());
            (child, slug.as_str().to_owned(), run)
        }))
    })
}

/// Makes a unit the one that ends with the process; all work without a token of its own belongs to it.
#[pyfunction]
fn set_process_unit(py: Python<'_>, unit: UnitId, token: u64) -> PyResult<()> {
    with_agent(py, |agent| {
        agent.set_process_unit(unit);
        Ok(())
    })?;
    current::set_base(Some(Token::from_raw(token)));
    Ok(())
}

/// Starts over in a forked child; whether the running code belongs to a run there.
#[pyfunction]
fn after_fork(py: Python<'_>) -> PyResult<bool> {
    let token = current::token(py);
    let Some((kept, rearm)) = AGENT.with(py, |state| Some(state.agent.as_mut()?.after_fork(token))).flatten()
    else {
        return Ok(false);
    };
    monitor::rearm(py, &rearm);
    if kept {
        if let Some(token) = token {
            monitor::rearm_stack(py, token)?;
        }
    } else {
        current::set_base(None);
        current::set(py, None)?;
    }
    Ok(kept)
}

/// Writes what is new in every run.
#[pyfunction]
fn flush(py: Python<'_>) -> PyResult<Vec<Report>> {
    let results = with_agent(py, |agent| Ok(agent.flush_all()))?;
    reports(results)
}

/// The process ends: closes its unit and writes what is left.
#[pyfunction]
fn finish(py: Python<'_>) -> PyResult<Vec<Report>> {
    let results = with_agent(py, |agent| Ok(agent.finish()))?;
    reports(results)
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
    AGENT.with(py, |state| state.agent.as_mut().map(Agent::rest));
}

/// Stops listening to the interpreter.
#[pyfunction]
fn stop(py: Python<'_>) {
    let monitor = AGENT.with(py, |state| state.monitor.clone()).flatten();
    if let Some(monitor) = monitor {
        monitor.stop(py);
    }
}

/// Gives imports a context of their own from now on.
#[pyfunction]
fn install_import_hook(py: Python<'_>) -> PyResult<()> {
    imports::install(py)
}

/// The native part of the agent.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    current::create(py)?;
    module.add("TraceError", py.get_type::<TraceError>())?;
    module.add("SwitchedOffError", py.get_type::<SwitchedOffError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    for function in [
        wrap_pyfunction!(configure, module)?,
        wrap_pyfunction!(set_role, module)?,
        wrap_pyfunction!(boot, module)?,
        wrap_pyfunction!(check_names, module)?,
        wrap_pyfunction!(open_unit, module)?,
        wrap_pyfunction!(open_within, module)?,
        wrap_pyfunction!(close_unit, module)?,
        wrap_pyfunction!(enter, module)?,
        wrap_pyfunction!(current_token, module)?,
        wrap_pyfunction!(current_run, module)?,
        wrap_pyfunction!(enqueue, module)?,
        wrap_pyfunction!(withdraw, module)?,
        wrap_pyfunction!(job_start, module)?,
        wrap_pyfunction!(lost, module)?,
        wrap_pyfunction!(owed, module)?,
        wrap_pyfunction!(promised_run, module)?,
        wrap_pyfunction!(spawn, module)?,
        wrap_pyfunction!(set_process_unit, module)?,
        wrap_pyfunction!(after_fork, module)?,
        wrap_pyfunction!(flush, module)?,
        wrap_pyfunction!(finish, module)?,
        wrap_pyfunction!(rest, module)?,
        wrap_pyfunction!(stop, module)?,
        wrap_pyfunction!(install_import_hook, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
