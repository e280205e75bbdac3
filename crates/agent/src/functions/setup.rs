//! Setting the agent up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use playtrace_covdata::Installation;
use playtrace_grant::{Grant, GrantError, Networks, TraceKey};
use playtrace_ledger::{Engine, Granularity, Record, Role};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::parse_names;
use crate::agent::Agent;
use crate::error::raise;
use crate::gate::Gate;
use crate::room::{Limits, Room};
use crate::run::Place;
use crate::sources::{self, Sources};
use crate::state::{AGENT, with_agent};
use crate::{engine, imports, untold};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(configure, module)?)?;
    module.add_function(wrap_pyfunction!(listen_with, module)?)?;
    module.add_function(wrap_pyfunction!(set_role, module)?)?;
    module.add_function(wrap_pyfunction!(boot, module)?)?;
    module.add_function(wrap_pyfunction!(tell_setup, module)?)?;
    module.add_function(wrap_pyfunction!(check_names, module)?)?;
    module.add_function(wrap_pyfunction!(install_import_hook, module)?)?;
    Ok(())
}

/// Sets the agent up. Nothing is traced yet. Answers with the configuration's keys that have no effect here.
#[pyfunction]
#[pyo3(signature = (*, directory, root, config, prefix, granularity, engine_name, role_name, program, stdlib, third_party, tracers, always=false, secret=None, signed_only=false, allow=None, limits=BTreeMap::new()))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments, as Python hands them over
fn configure(
    py: Python<'_>,
    directory: PathBuf,
    root: PathBuf,
    config: Option<PathBuf>,
    prefix: String,
    granularity: &str,
    engine_name: &str,
    role_name: &str,
    program: String,
    stdlib: Vec<PathBuf>,
    third_party: Vec<PathBuf>,
    tracers: Vec<PathBuf>,
    always: bool,
    secret: Option<&str>,
    signed_only: bool,
    allow: Option<&str>,
    limits: BTreeMap<String, u64>,
) -> PyResult<Vec<String>> {
    untold::told();
    let grant = grant(secret, signed_only, allow).map_err(|error| raise(&error.into()))?;
    let granularity = Granularity::parse(granularity)
        .ok_or_else(|| PyValueError::new_err(format!("{granularity:?} is not a granularity")))?;
    let engine = Engine::parse(engine_name)
        .ok_or_else(|| PyValueError::new_err(format!("{engine_name:?} is not an engine")))?;
    let place = Place { directory, prefix, role: role(role_name)?, program, granularity, engine };
    let config = sources::read_config(config.as_deref()).map_err(|error| raise(&error))?;
    let notices = config.notices.iter().map(|notice| {
        format!("{}:{}: {} has no effect: {}", notice.path.display(), notice.line, notice.key, notice.why)
    });
    let notices = notices.collect();
    let installed = Installation { stdlib, third_party, tracers };
    let sources = Sources::new(&config, &root, &installed).map_err(|error| raise(&error))?;
    AGENT.with(py, |state| {
        if state.agent.is_none() {
            let gate = Gate::new(grant, &place.directory);
            let mut agent = Agent::new(place, sources, gate, Room::new(Limits::of(&limits)));
            if always {
                agent.record_anyone();
            }
            state.agent = Some(agent);
        }
    });
    Ok(notices)
}

/// What is asked of those who want a request traced.
fn grant(secret: Option<&str>, signed_only: bool, allow: Option<&str>) -> Result<Grant, GrantError> {
    Ok(Grant {
        key: secret.map(TraceKey::parse).transpose()?,
        signed_only,
        networks: allow.map(Networks::parse).transpose()?,
    })
}

/// Lets another engine than the interpreter's monitoring be the source of lines (`coverage_engine.CoverageEngine`).
#[pyfunction]
fn listen_with(py: Python<'_>, engine: Py<PyAny>) {
    engine::set(py, engine);
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

/// Gives imports a context of their own from now on.
#[pyfunction]
fn install_import_hook(py: Python<'_>) -> PyResult<()> {
    imports::install(py)
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
