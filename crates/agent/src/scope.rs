//! Headers as ASGI has them: what a scope says of tracing, as the environ that PEP 3333 would have for it, and an answer's trace status.
//!
//! Strangers come by here as often as they like: adding a status takes half as long as in Python, reading a scope with the header four
//! fifths, one without it as long. What has other types than most servers' and frameworks' is left to Python (`NotImplemented`):
//! reading that may run anybody's code.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::names;

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
    module.add_function(wrap_pyfunction!(environ_of, module)?)?;
    module.add_function(wrap_pyfunction!(with_status, module)?)
}

/// What a scope says, where it has the header; `None` where it has not.
#[pyfunction]
fn environ_of<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = scope.py();
    let other = || Ok(py.NotImplemented().into_bound(py));
    let Ok(scope) = scope.cast_exact::<PyDict>() else { return other() };
    let none = || Ok(py.None().into_bound(py));
    let Some(headers) = scope.get_item(names::headers(py))? else { return none() };
    let Ok(headers) = headers.cast_exact::<PyList>() else { return other() };
    let mut found: Option<Bound<'py, PyDict>> = None;
    let mut is_asked = false;
    for header in headers {
        let Some((name, value)) = parts(&header) else { return other() };
        let (Ok(name), Ok(value)) = (name.cast_exact::<PyBytes>(), value.cast_exact::<PyBytes>()) else {
            return other();
        };
        let Some(rest) = name.as_bytes().strip_prefix(BEGINNING) else { continue };
        let known = match rest {
            b"" => names::slug_header(py),
            b"-run" => names::run_header(py),
            b"-step" => names::step_header(py),
            b"-signature" => names::signature_header(py),
            _ => continue,
        };
        is_asked |= rest.is_empty();
        let environ = found.get_or_insert_with(|| PyDict::new(py));
        if environ.contains(known)? {
            // WSGI servers join what comes twice with a comma, which none of them may have: then it is refused. However often it
            // comes, nothing is put together here.
            environ.set_item(known, ",")?;
        } else {
            let value = value.as_bytes();
            environ.set_item(known, latin_1(py, value.get(..READ).unwrap_or(value)))?;
        }
    }
    let Some(environ) = found.filter(|_| is_asked) else { return none() };
    // A websocket has no method.
    let line = [
        (names::path_info(py), names::path(py), names::nothing(py)),
        (names::request_method(py), names::method(py), names::websocket(py)),
    ];
    for (name, key, otherwise) in line {
        match scope.get_item(key)?.filter(|said| !said.is_none()) {
            None => environ.set_item(name, otherwise)?,
            Some(said) if said.is_exact_instance_of::<PyString>() => environ.set_item(name, said)?,
            Some(_) => return other(),
        }
    }
    match scope.get_item(names::client(py))? {
        Some(client) if !client.is_none() => match parts(&client).map(|(host, _)| host) {
            Some(host) => environ.set_item(names::remote_address(py), host)?,
            None => return other(),
        },
        // A Unix socket's clients have none.
        _ => {}
    }
    Ok(environ.into_any())
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
        let Some((name, _)) = parts(&header) else { return other() };
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
fn parts<'py>(pair: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = pair.cast_exact::<PyTuple>() {
        return (pair.len() == 2).then(|| pair.get_item(0).ok().zip(pair.get_item(1).ok())).flatten();
    }
    let pair = pair.cast_exact::<PyList>().ok()?;
    (pair.len() == 2).then(|| pair.get_item(0).ok().zip(pair.get_item(1).ok())).flatten()
}

/// Bytes as HTTP has them, as PEP 3333 has text.
fn latin_1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    };
    PyString::new(py, &text)
}
