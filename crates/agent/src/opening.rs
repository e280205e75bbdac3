//! Opens the unit of a request from what its client and its server say, whatever the protocol ([`Request`]); and PEP 3333's.

use std::borrow::Cow;

use playtrace_grant::Wanted;
use playtrace_ledger::UnitKind;
use playtrace_model::{RunToken, Slug};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::agent::{UnitId, UnitSpec};
use crate::error::AgentError;
use crate::functions::units::open_of;
use crate::gate::Refused;
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
    Refused(Refused),
}

/// What is asked of a request, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Slug,
    Run,
    Step,
    Signature,
    Address,
}

/// A request that carries the header, however its server puts it.
pub(crate) trait Request {
    /// What the client says, or the server says of it. What is no text, or none that can be encoded, must be none that can stand for
    /// anything: [`NO_TEXT`].
    fn said(&self, part: Part) -> PyResult<Option<Cow<'_, str>>>;

    /// `GET /path`, for people.
    fn line(&self) -> PyResult<String>;
}

/// Neither a name nor a signature nor an address.
pub(crate) const NO_TEXT: &str = "\0";

/// Opens the unit of a request. What the client says is looked at before anything else is done.
pub(crate) fn open(py: Python<'_>, request: &impl Request) -> PyResult<Opened> {
    let (slug, run, step) = match wanted(request)? {
        Ok(wanted) => wanted,
        Err(error) => return gate::refuse(py, &error).map(Opened::Refused),
    };
    let wanted = Wanted { slug: &slug, run: run.as_ref(), step };
    if let Err(refused) = gate::let_in(py, wanted, request)? {
        return Ok(Opened::Refused(refused));
    }
    let mut spec = UnitSpec::new(UnitKind::Request, "");
    spec.step = step;
    spec.what = request.line()?;
    if let Some((end, _)) = spec.what.char_indices().nth(LONGEST) {
        spec.what.truncate(end);
    }
    open_of(py, &slug, &run.unwrap_or_else(RunToken::untokened), spec).map(Opened::Unit)
}

/// Slug, run and step of a request.
type Names = (Slug, Option<RunToken>, Option<u32>);

/// What a client wants, or which of it can't be.
fn wanted(request: &impl Request) -> PyResult<Result<Names, AgentError>> {
    let (run, step) = (request.said(Part::Run)?, request.said(Part::Step)?);
    let run = run.map(|run| RunToken::parse(&run).map_err(|_| AgentError::HeaderRun)).transpose();
    let step = step.map(|step| number(&step).ok_or(AgentError::HeaderStep)).transpose();
    let slug = request.said(Part::Slug)?.unwrap_or(Cow::Borrowed(NO_TEXT));
    let slug = Slug::parse(&slug).map_err(AgentError::HeaderSlug);
    Ok(slug.and_then(|slug| Ok((slug, run?, step?))))
}

/// Opens the unit of a request of which PEP 3333's environ speaks; its slug was looked up in it.
#[pyfunction]
pub(crate) fn open_request(slug: &Bound<'_, PyAny>, environ: &Bound<'_, PyAny>) -> PyResult<Opened> {
    open(environ.py(), &Environ { slug, environ })
}

/// What PEP 3333 says of a request.
struct Environ<'a, 'py> {
    slug: &'a Bound<'py, PyAny>,
    environ: &'a Bound<'py, PyAny>,
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

impl Request for Environ<'_, '_> {
    fn said(&self, part: Part) -> PyResult<Option<Cow<'_, str>>> {
        let py = self.environ.py();
        let name = match part {
            Part::Slug => return Ok(Some(text(self.slug))),
            Part::Run => names::run_header(py),
            Part::Step => names::step_header(py),
            Part::Signature => names::signature_header(py),
            Part::Address => names::remote_address(py),
        };
        Ok(said(self.environ, name)?.map(|said| text(&said)))
    }

    fn line(&self) -> PyResult<String> {
        let py = self.environ.py();
        let mut line = String::with_capacity(64);
        for (before, name) in
            [("", names::request_method(py)), (" ", names::script_name(py)), ("", names::path_info(py))]
        {
            line.push_str(before);
            if let Some(part) = said(self.environ, name)? {
                line.push_str(&part.str()?.to_string_lossy());
            }
        }
        Ok(line)
    }
}

/// What somebody says, if it is text.
pub(crate) fn text<'a>(said: &Bound<'_, PyAny>) -> Cow<'a, str> {
    said.extract::<String>().map_or(Cow::Borrowed(NO_TEXT), Cow::Owned)
}

/// The step that a player said.
fn number(text: &str) -> Option<u32> {
    let digits = (1..10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
