//! Opens the unit of a request from what the server says of it, by PEP 3333: the WSGI middleware's environ, or what the ASGI one makes of a
//! scope.

use playtrace_grant::Wanted;
use playtrace_ledger::UnitKind;
use playtrace_model::{RunToken, Slug};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::agent::{UnitId, UnitSpec};
use crate::error::AgentError;
use crate::functions::units::open_of;
use crate::{gate, names};

/// So many characters of a request's line go into the ledger.
const LONGEST: usize = 200;

/// Adds what is for openings to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(open_request, module)?)
}

/// What became of a request that is to be traced.
#[derive(IntoPyObject)]
pub(crate) enum Opened {
    /// The number of its unit, and whether it is its run's first one here.
    Unit((UnitId, bool)),
    /// Who asks may not have it: why, and how many asked in vain, if that is to be said now.
    ///
    /// No exception: strangers ask as often as they like, and one would be made, raised and caught each time.
    Refused((String, Option<u64>)),
}

/// Opens the unit of a request. What the client says is looked at before anything else is done.
#[pyfunction]
pub(crate) fn open_request(slug: &Bound<'_, PyAny>, environ: &Bound<'_, PyAny>) -> PyResult<Opened> {
    let py = environ.py();
    let (slug, run, step) = match wanted(slug, environ)? {
        Ok(wanted) => wanted,
        Err(error) => return gate::refuse(py, &error).map(Opened::Refused),
    };
    let wanted = Wanted { slug: &slug, run: run.as_ref(), step };
    if let Err(refused) = gate::let_in(py, wanted, environ)? {
        return Ok(Opened::Refused(refused));
    }
    let mut spec = UnitSpec::new(UnitKind::Request, "");
    spec.step = step;
    spec.what = line_of(environ)?;
    open_of(py, &slug, &run.unwrap_or_else(RunToken::untokened), spec).map(Opened::Unit)
}

/// Slug, run and step of a request.
type Names = (Slug, Option<RunToken>, Option<u32>);

/// What a client wants, or which of it can't be.
fn wanted(slug: &Bound<'_, PyAny>, environ: &Bound<'_, PyAny>) -> PyResult<Result<Names, AgentError>> {
    let py = environ.py();
    let (run, step) = (said(environ, names::run_header(py))?, said(environ, names::step_header(py))?);
    // What is no text, or none that can be encoded, is no name either.
    let text = |said: &Bound<'_, PyAny>| said.extract::<String>().unwrap_or_else(|_| "\0".to_owned());
    let run = run.map(|run| RunToken::parse(&text(&run)).map_err(|_| AgentError::HeaderRun)).transpose();
    let step = step.map(|step| number(&text(&step)).ok_or(AgentError::HeaderStep)).transpose();
    let slug = Slug::parse(&text(slug)).map_err(AgentError::HeaderSlug);
    Ok(slug.and_then(|slug| Ok((slug, run?, step?))))
}

/// What a server says under a name. PEP 3333 promises a dictionary; what is like one does as well.
pub(crate) fn said<'py>(
    environ: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match environ.cast_exact::<PyDict>() {
        Ok(environ) => environ.get_item(name),
        Err(_) => Ok(environ.call_method1("get", (name,))?.extract()?),
    }
}

/// `GET /path`, for people.
fn line_of(environ: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = environ.py();
    let mut line = String::with_capacity(64);
    for (before, name) in
        [("", names::request_method(py)), (" ", names::script_name(py)), ("", names::path_info(py))]
    {
        line.push_str(before);
        if let Some(part) = said(environ, name)? {
            line.push_str(&part.str()?.to_string_lossy());
        }
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
    }
    Ok(line)
}

/// The step that a player said.
fn number(text: &str) -> Option<u32> {
    let digits = (1..10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
