//! By which route a request of real traffic came, told by Flask: it has found the rule when it dispatches the request.
//!
//! Natively, because every request comes by here. What is out of the ordinary is left to the function of Python's in whose
//! place this stands: a rule that was never seen, a request that is to be a sample, greenlets. Requests and rules may be of the
//! app's own classes: see [`calling`].

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::calling::{self, guarded};
use crate::route::RouteObject;
use crate::routes::Number;
use crate::state::with_agent;
use crate::{current, method, names};

/// Adds what makes it to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(flask_dispatch, module)?)
}

/// What stands in the place of `call`, which is a wrapper of `original`; `None` where the interpreter is too old for that.
///
/// `variable` holds the request's context; `known` has routes by method and rule; `modules` are those of the process.
#[pyfunction]
fn flask_dispatch(
    py: Python<'_>,
    call: &Bound<'_, PyAny>,
    original: &Bound<'_, PyAny>,
    variable: &Bound<'_, PyAny>,
    known: &Bound<'_, PyAny>,
    modules: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    let is_variable = variable.get_type().is(&py.import("contextvars")?.getattr("ContextVar")?);
    let are_dictionaries =
        [known, modules].iter().all(|table| table.is_exact_instance_of::<pyo3::types::PyDict>());
    if !is_variable || !are_dictionaries || !current::is_quick() {
        return Ok(None);
    }
    let made = method::make(py, dispatch, &[call, original, variable, known, modules])?;
    Ok(made.map(Bound::unbind))
}

/// What was found out about a request.
#[derive(Clone, Copy)]
enum Found {
    /// It is one of this route, which was counted.
    Here(Number),
    /// Ask Python.
    Ask,
    /// Something raised what no fault of ours or of an app's attribute is.
    Raised,
}

/// `flask.Flask.full_dispatch_request`
unsafe extern "C-unwind" fn dispatch(
    me: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    with_flag: usize,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a method of ours is called with the lock held, with itself, and with as many arguments as is said; what is lent lives as long as
    // the call, and what is handed on is the caller's to be written to, if it said so.
    unsafe {
        let [call, original, ..] = method::parts(me);
        match find(me) {
            Found::Here(number) => {
                let before = current::set_route(Some(number));
                let answer = method::call(original, arguments, with_flag, keywords);
                current::set_route(before);
                answer
            }
            Found::Ask => method::call(call, arguments, with_flag, keywords),
            Found::Raised => null_mut(),
        }
    }
}

/// # Safety
/// As [`calling::call`] has it; `me` is the method.
unsafe fn find(me: *mut ffi::PyObject) -> Found {
    // The context, its request, that one's rule, the rule's text, and the method.
    let mut held = [null_mut(); 5];
    // SAFETY: the caller's promise; what is held is ours.
    unsafe {
        let found = look(me, &mut held);
        for object in held {
            if !object.is_null() {
                calling::release(object);
            }
        }
        found
    }
}

/// # Safety
/// As [`calling::call`] has it; `me` is the method, and what is held is the caller's afterwards.
unsafe fn look(me: *mut ffi::PyObject, held: &mut [*mut ffi::PyObject; 5]) -> Found {
    // SAFETY: the caller's promise; names live for ever, and what is released is ours.
    unsafe {
        let [_, _, variable, known, modules, _] = method::parts(me);
        let py = Python::assume_attached();
        // There, what comes next in this thread may be another request's.
        for name in [names::gevent(py), names::eventlet(py)] {
            if !calling::item(modules, name.as_ptr()).is_null() {
                return Found::Ask;
            }
        }
        held[0] = current::held_by(variable);
        if held[0].is_null() {
            return failed();
        }
        for (index, name) in
            [names::request(py), names::url_rule(py), names::rule(py)].into_iter().enumerate()
        {
            held[index + 1] = calling::attribute(held[index], name.as_ptr());
            if held[index + 1].is_null() {
                return failed();
            }
            if held[index + 1] == ffi::Py_None() {
                return Found::Ask;
            }
        }
        held[4] = calling::attribute(held[1], names::method(py).as_ptr());
        if held[4].is_null() {
            return failed();
        }
        if ffi::PyUnicode_CheckExact(held[3]) == 0 || ffi::PyUnicode_CheckExact(held[4]) == 0 {
            return Found::Ask;
        }
        let key = ffi::PyTuple_Pack(2, held[4], held[3]);
        if key.is_null() {
            return failed();
        }
        let route = calling::item(known, key);
        calling::release(key);
        if route.is_null() {
            return failed();
        }
        match guarded(|py| number_of(py, route)) {
            Some(Some(number)) => Found::Here(number),
            Some(None) => Found::Ask,
            None => failed(),
        }
    }
}

/// The number of a route, whose request is counted; `None` if that is to be a sample.
///
/// # Safety
/// The route is an object that somebody has.
fn number_of(py: Python<'_>, route: *mut ffi::PyObject) -> PyResult<Option<Number>> {
    // SAFETY: the table has it, and nobody comes to the table meanwhile.
    let route: &Bound<'_, PyAny> = unsafe { Bound::ref_from_ptr(py, &route) };
    let Ok(route) = route.cast_exact::<RouteObject>() else { return Ok(None) };
    let number = route.get().number();
    with_agent(py, |agent| Ok(agent.count_unless_sampled(number).then_some(number)))
}

/// Something is not there, or raised: Python asks again, and says it.
///
/// # Safety
/// The lock must be held.
unsafe fn failed() -> Found {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::PyErr_Occurred().is_null() {
            return Found::Ask;
        }
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) == 0 {
            return Found::Raised;
        }
        ffi::PyErr_Clear();
        Found::Ask
    }
}
