//! The glue between CPython's `sys.monitoring` and playtrace's tracer: the module `playtrace_agent._native`.
//!
//! Everything that decides something is elsewhere: which places go on being reported in the tracer, how shards look in
//! covdata, what is promised in the ledger. Here is what needs the interpreter ([`monitor`], [`current`], [`imports`])
//! and the state of one process ([`agent`]).

mod agent;
mod behind;
mod block;
mod body;
mod callbacks;
mod calling;
mod cell;
mod current;
mod error;
mod frames;
mod imports;
mod jobs;
mod monitor;
mod names;
mod registry;
mod run;
mod sources;
mod token;
mod trails;
mod unflushed;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use playtrace_covdata::Installation;
use playtrace_ledger::{Granularity, Record, Role, UnitKind};
use playtrace_model::{RunToken, Slug};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use crate::agent::{Agent, Opened, UnitId, UnitSpec};
use crate::block::Block;
use crate::cell::AttachedCell;
use crate::error::AgentError;
use crate::monitor::Monitor;
use crate::registry::Objects;
use crate::run::{Place, Written};
use crate::sources::Sources;
use crate::token::TokenObject;

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
    listening: Listening,
    objects: Objects,
    /// The tokens of the units that are under way.
    tokens: BTreeMap<UnitId, Py<TokenObject>>,
}

/// Whether the interpreter reports to us.
#[derive(Debug, Clone, Copy)]
enum Listening {
    Not,
    /// A thread is at it.
    Begins,
    Yes,
}

/// Taking the tools and looking at all frames takes some milliseconds.
const STARTING: Duration = Duration::from_secs(5);

static AGENT: AttachedCell<State> = AttachedCell::new(State {
    agent: None,
    monitor: None,
    listening: Listening::Not,
    objects: Objects::new(),
    tokens: BTreeMap::new(),
});

/// What a child process is told: its token, slug, run and scope.
type ChildOf = (String, String, Option<String>, Option<String>);

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

/// Takes the tool ids at the first traced work of the process, and looks at what runs at that moment. Who comes while another thread is at
/// it waits: what runs in its own frames may not be known yet. (By asking again: a lock would stay locked in a child that is forked
/// meanwhile.)
fn start_monitor(py: Python<'_>) -> PyResult<()> {
    let deadline = Instant::now() + STARTING;
    loop {
        let found = AGENT.with(py, |state| match state.listening {
            Listening::Not => {
                state.listening = Listening::Begins;
                Listening::Not
            }
            other => other,
        });
        match found {
            Some(Listening::Not) => break,
            Some(Listening::Begins) if Instant::now() < deadline => {
                py.detach(|| std::thread::sleep(Duration::from_millis(1)));
            }
            Some(Listening::Begins) => {
                let reason = "another thread has begun to listen and does not get on".to_owned();
                return Err(raise(&AgentError::Monitoring { reason }));
            }
            Some(Listening::Yes) | None => return Ok(()),
        }
    }
    let listening = listen(py);
    let now = if listening.is_ok() { Listening::Yes } else { Listening::Not };
    AGENT.with(py, |state| state.listening = now);
    listening
}

fn listen(py: Python<'_>) -> PyResult<()> {
    let granularity = AGENT.with(py, |state| {
        let place = state.agent.as_ref().and_then(|agent| agent.place.as_ref());
        place.map(|place| place.granularity).unwrap_or_default()
    });
    let lines = granularity != Some(Granularity::Symbol);
    if AGENT.with(py, |state| state.monitor.is_none()) == Some(true) {
        let monitor = Monitor::start(py, lines).map_err(|error| raise(&error))?;
        AGENT.with(py, |state| state.monitor = Some(Arc::new(monitor)));
    }
    registry::scout_running(py)
}

fn opened(py: Python<'_>, opened: Opened) -> PyResult<(UnitId, bool)> {
    monitor::rearm(py, &opened.rearm);
    let token = Py::new(py, TokenObject::new(opened.unit, opened.token, Some(opened.holders)))?;
    AGENT.with(py, |state| state.tokens.insert(opened.unit, token));
    Ok((opened.unit, opened.first))
}

/// Sets the agent up. Nothing is traced yet. Answers with the configuration's keys that have no effect here.
#[pyfunction]
#[pyo3(signature = (*, directory, root, config, prefix, granularity, role_name, program, stdlib, third_party, tracers))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments, as Python hands them over
fn configure(
    py: Python<'_>,
    directory: PathBuf,
    root: PathBuf,
    config: Option<PathBuf>,
    prefix: String,
    granularity: &str,
    role_name: &str,
    program: String,
    stdlib: Vec<PathBuf>,
    third_party: Vec<PathBuf>,
    tracers: Vec<PathBuf>,
) -> PyResult<Vec<String>> {
    let granularity = Granularity::parse(granularity)
        .ok_or_else(|| PyValueError::new_err(format!("{granularity:?} is not a granularity")))?;
    let place = Place { directory, prefix, role: role(role_name)?, program, granularity };
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

/// Adds to that what the process found (releases of coverage.py and RQ) and put in place.
#[pyfunction]
fn tell_setup(
    py: Python<'_>,
    coverage: Option<String>,
    rq: Option<String>,
    hooks: Vec<String>,
) -> PyResult<()> {
    with_agent(py, |agent| agent.tell_setup(Record::Setup { coverage, rq, hooks }))
}

/// Checks a slug and a run token.
#[pyfunction]
#[pyo3(signature = (slug, run=None))]
fn check_names(slug: &str, run: Option<&str>) -> PyResult<()> {
    parse_names(slug, run).map(|_| ())
}

/// Opens a unit of work of a run: its number, whether it is the run's first here.
#[pyfunction]
#[pyo3(signature = (slug, run, kind_name, *, step=None, job=None, child=None, what="", scope=None))]
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
fn close_unit(py: Python<'_>, unit: UnitId) -> PyResult<Option<Report>> {
    token::settle_gone(py);
    let held = AGENT.with(py, |state| state.tokens.remove(&unit)).flatten();
    let held = held.filter(is_held);
    // Tasks that ended may be parts of cycles.
    let left = held.filter(|token| collect(py) && is_held(token));
    let written = with_agent(py, |agent| match &left {
        Some(_) => agent.leave_behind(unit),
        None => agent.close(unit),
    });
    // Only now: the last holder may have gone in the meantime.
    drop(left);
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

/// What the running code's context holds: a token, `None`, or `Ellipsis` where it knows nothing of us. For `hold` and `enter`.
#[pyfunction]
fn held(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    current::value(py)
}

/// Sets that, for code that is about to be called and comes back: what the thread works for stays the same.
///
/// A signal's handler may raise as soon as this returns: ask `held` before a `try` block, and call this within it.
#[pyfunction]
#[pyo3(signature = (to))]
fn hold(py: Python<'_>, to: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    current::put(py, named(py, to)?.as_ref())
}

/// Lets the running code belong to `to`: a unit's number, what `held` answered, or `None` (nobody). Answers with what `held`
/// would have answered.
///
/// For callers under which nothing that is running now goes on: a function that calls another one and then goes back.
#[pyfunction]
#[pyo3(signature = (to))]
fn enter<'py>(py: Python<'py>, to: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let before = current::value(py);
    current::enter(py, named(py, to)?.as_ref())?;
    Ok(before)
}

/// What the variable is to hold for `to`.
fn named<'py>(py: Python<'py>, to: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(to) = to else { return Ok(None) };
    if to.is_instance_of::<TokenObject>() || to.is(py.Ellipsis()) {
        return Ok(Some(to.clone()));
    }
    Ok(token_of(py, to.extract()?))
}

/// A unit's token, while it is open.
fn token_of(py: Python<'_>, unit: UnitId) -> Option<Bound<'_, PyAny>> {
    let token = AGENT.with(py, |state| state.tokens.get(&unit).map(|token| token.clone_ref(py))).flatten();
    token.map(|token| token.into_bound(py).into_any())
}

/// Whether the running code is traced.
#[pyfunction]
fn traced(py: Python<'_>) -> bool {
    current::token(py).is_some()
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
        agent.remember_job(&job, &slug, &run, &function);
        agent.note(&slug, &run, Record::Enqueue { job, function, queue })
    })
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
    if let Some(token) = token {
        monitor::rearm_stack(py, token);
    }
    Ok(())
}

/// Starts over in a forked child; whether the running code belongs to a run there.
#[pyfunction]
fn after_fork(py: Python<'_>) -> PyResult<bool> {
    token::forget_left(py);
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
    token::settle_gone(py);
    let unneeded = AGENT.with(py, |state| state.agent.as_mut().map(Agent::rest)).flatten();
    monitor::disarm(py, &unneeded.unwrap_or_default());
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
    names::prepare(py);
    current::create(py)?;
    module.add("TraceError", py.get_type::<TraceError>())?;
    module.add_class::<TokenObject>()?;
    body::add_to(module)?;
    module.add_class::<Block>()?;
    module.add("SwitchedOffError", py.get_type::<SwitchedOffError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    for function in [
        wrap_pyfunction!(configure, module)?,
        wrap_pyfunction!(set_role, module)?,
        wrap_pyfunction!(boot, module)?,
        wrap_pyfunction!(tell_setup, module)?,
        wrap_pyfunction!(check_names, module)?,
        wrap_pyfunction!(open_unit, module)?,
        wrap_pyfunction!(open_within, module)?,
        wrap_pyfunction!(close_unit, module)?,
        wrap_pyfunction!(held, module)?,
        wrap_pyfunction!(hold, module)?,
        wrap_pyfunction!(enter, module)?,
        wrap_pyfunction!(traced, module)?,
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
        wrap_pyfunction!(install_import_hook, module)?,
    ] {
        module.add_function(function)?;
    }
    calling::add_to(module)
}
