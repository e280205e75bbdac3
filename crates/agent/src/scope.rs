//! Requests as ASGI has them: opened from what a scope says, and an answer's trace status.
//!
//! Strangers come by here as often as they like: from a scope to the refusal no function of Python's is called, and no environ made. What
//! has other types than most servers' and frameworks' is left to Python (`NotImplemented`): reading that may run anybody's code.

use std::borrow::Cow;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::agent::UnitId;
use crate::opening::{self, Opened, Part, Request};
use crate::token::TokenObject;
use crate::{current, names};

/// How all of ours begin, as ASGI has names: lowercase.
const BEGINNING: &[u8] = b"x-profile-trace";

/// So many bytes of a value are read: what is longer is refused however it goes on.
const READ: usize = 1000;

/// The header that is added to answers.
const STATUS: &[u8] = b"x-profile-trace-status";

/// What carries an answer's headers.
const WITH_HEADERS: [&str; 3] = ["http.response.start", "websocket.accept", "websocket.http.response.start"];

/// Adds what reads scopes to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(open_scope, module)?)?;
    module.add_function(wrap_pyfunction!(with_status, module)?)
}

/// What became of a request that is to be traced: its unit, if it is; the trace status of its answer; what is to be told: 1 if it is
/// its run's first one here, 0 if not; or how many were refused, if that is to be said now.
type Outcome<'py> = (Option<UnitId>, Bound<'py, PyBytes>, Option<u64>);

/// Opens the unit of a request, if it has the header; `None` where it has not.
#[pyfunction]
fn open_scope<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = scope.py();
    let request = match asked(scope)? {
        Asked::Untraced => return Ok(py.None().into_bound(py)),
        Asked::Traced(request) if !is_within(py) => request,
        _ => return Ok(py.NotImplemented().into_bound(py)),
    };
    let outcome: Outcome<'py> = match opening::open(py, &request)? {
        Opened::Unit((unit, first)) => (Some(unit), PyBytes::new(py, b"on"), Some(first.into())),
        Opened::Refused((why, count)) => (None, PyBytes::new(py, format!("off; {why}").as_bytes()), count),
    };
    outcome.into_bound_py_any(py)
}

/// Whether a middleware around this one may have opened the request: apps may be wrapped within each other.
fn is_within(py: Python<'_>) -> bool {
    current::value(py).is_some_and(|held| held.is_exact_instance_of::<TokenObject>())
}

/// What a scope says of tracing.
enum Asked<'py> {
    Traced(Scope<'py>),
    Untraced,
    /// It may say something, in other types than most.
    Unreadable,
}

/// A header's value.
enum Value<'py> {
    Once(Bound<'py, PyBytes>),
    /// WSGI servers join what comes twice with a comma, which none of them may have: then it is refused. However often it comes, nothing
    /// is put together here.
    Repeated,
}

/// What the scope of a request with the header says.
struct Scope<'py> {
    /// By [`Part`].
    values: [Option<Value<'py>>; 4],
    /// `None` for a websocket.
    method: Option<Bound<'py, PyString>>,
    path: Option<Bound<'py, PyString>>,
    /// `None` for clients on a Unix socket.
    host: Option<Bound<'py, PyAny>>,
}

/// Reads a scope.
fn asked<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Asked<'py>> {
    let py = scope.py();
    let Ok(scope) = scope.cast_exact::<PyDict>() else { return Ok(Asked::Unreadable) };
    let Some(headers) = scope.get_item(names::headers(py))? else { return Ok(Asked::Untraced) };
    let Ok(headers) = headers.cast_exact::<PyList>() else { return Ok(Asked::Unreadable) };
    let mut values = [const { None }; 4];
    for header in headers {
        match is_ours(&header) {
            Some(true) => {}
            Some(false) => continue,
            None => return Ok(Asked::Unreadable),
        }
        let Some((name, value)) = pair(&header) else { return Ok(Asked::Unreadable) };
        let (Ok(name), Ok(value)) = (name.cast_exact::<PyBytes>(), value.cast_exact::<PyBytes>()) else {
            return Ok(Asked::Unreadable);
        };
        let Some(rest) = name.as_bytes().strip_prefix(BEGINNING) else { continue };
        let part = match rest {
            b"" => Part::Slug,
            b"-run" => Part::Run,
            b"-step" => Part::Step,
            b"-signature" => Part::Signature,
            _ => continue,
        };
        let known = &mut values[part as usize];
        *known = Some(if known.is_none() { Value::Once(value.clone()) } else { Value::Repeated });
    }
    if values[Part::Slug as usize].is_none() {
        return Ok(Asked::Untraced);
    }
    let said = |key| Ok::<_, PyErr>(scope.get_item(key)?.filter(|said| !said.is_none()));
    let (method, path, client) = (said(names::method(py))?, said(names::path(py))?, said(names::client(py))?);
    let text = |said: Option<Bound<'py, PyAny>>| said.map(Bound::cast_into_exact::<PyString>).transpose();
    let (Ok(method), Ok(path)) = (text(method), text(path)) else { return Ok(Asked::Unreadable) };
    let host = match client.map(|client| pair(&client).map(|(host, _)| host)) {
        Some(None) => return Ok(Asked::Unreadable),
        host => host.flatten(),
    };
    Ok(Asked::Traced(Scope { values, method, path, host }))
}

/// Whether a header's name begins like ours; `None` if that can't be said. Each header of each request comes by here.
fn is_ours(header: &Bound<'_, PyAny>) -> Option<bool> {
    let begins = |name: &Bound<'_, PyAny>| {
        name.cast_exact::<PyBytes>().map(|name| name.as_bytes().starts_with(BEGINNING)).ok()
    };
    match header.cast_exact::<PyTuple>() {
        Ok(header) if header.len() == 2 => header.get_borrowed_item(0).ok().and_then(|name| begins(&name)),
        Ok(_) => None,
        Err(_) => pair(header).and_then(|(name, _)| begins(&name)),
    }
}

impl Request for Scope<'_> {
    fn said(&self, part: Part) -> PyResult<Option<Cow<'_, str>>> {
        if part == Part::Address {
            return Ok(self.host.as_ref().map(opening::text));
        }
        Ok(self.values[part as usize].as_ref().map(|value| match value {
            Value::Once(value) => latin_1(value.as_bytes()),
            Value::Repeated => Cow::Borrowed(","),
        }))
    }

    fn line(&self) -> PyResult<String> {
        let text = |text: &Bound<'_, PyString>| text.to_string_lossy().into_owned();
        let method = self.method.as_ref().map_or("WS".to_owned(), text);
        Ok(format!("{method} {}", self.path.as_ref().map(text).unwrap_or_default()))
    }
}

/// A message to the server with the trace status, if it carries an answer's headers.
#[pyfunction]
fn with_status<'py>(message: &Bound<'py, PyAny>, said: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    let py = message.py();
    let other = || Ok(py.NotImplemented().into_bound(py));
    let Ok(fields) = message.cast_exact::<PyDict>() else { return other() };
    let Some(kind) = fields.get_item(names::kind(py))? else { return other() };
    let Ok(kind) = kind.cast_exact::<PyString>() else { return other() };
    if !WITH_HEADERS.iter().any(|with| *kind == **with) {
        return Ok(message.clone());
    }
    let Some(headers) = fields.get_item(names::headers(py))? else { return other() };
    let Ok(headers) = headers.cast_exact::<PyList>() else { return other() };
    let mut is_said = false;
    for header in headers {
        let Some((name, _)) = pair(&header) else { return other() };
        let Ok(name) = name.cast_exact::<PyBytes>() else { return other() };
        is_said |= name.as_bytes().eq_ignore_ascii_case(STATUS);
    }
    // The app may keep its message, and its list.
    let (fields, headers) = (fields.copy()?, headers.get_slice(0, headers.len()));
    // A mounted app may have a middleware of its own, which knows better.
    if !is_said {
        headers.append((PyBytes::new(py, STATUS), said))?;
    }
    fields.set_item(names::headers(py), headers)?;
    Ok(fields.into_any())
}

/// Both of a pair, if it is one that servers make.
fn pair<'py>(pair: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = pair.cast_exact::<PyTuple>() {
        return (pair.len() == 2).then(|| pair.get_item(0).ok().zip(pair.get_item(1).ok())).flatten();
    }
    let pair = pair.cast_exact::<PyList>().ok()?;
    (pair.len() == 2).then(|| pair.get_item(0).ok().zip(pair.get_item(1).ok())).flatten()
}

/// Bytes as HTTP has them, as PEP 3333 has text.
fn latin_1(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.get(..READ).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
