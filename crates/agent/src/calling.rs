//! Calls of the app's code that may wait, and may never come back.
//!
//! Where the interpreter ends while a daemon thread waits for its lock, CPython ends that thread where it stands: `pthread_exit` unwinds its stack,
//! without the lock, through our frames. Rust aborts the process when it catches such an unwinding, and destructors would
//! touch objects. So there must be nothing in these frames that catches or drops: what they hold is raw, and lost then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use playtrace_tracer::Token;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::{current, token_of};

type Call = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type Method = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// `callable(*args, **kwargs)`; null with an error set where it raised.
///
/// # Safety
/// The interpreter's lock must be held, `args` be a tuple, `kwargs` a dictionary or null, and nothing in the caller's frame need dropping.
#[inline]
pub(crate) unsafe fn call(
    callable: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the same function, said to unwind, as it does; the rest is the caller's promise.
    unsafe {
        let call: Call = std::mem::transmute::<*const (), Call>(ffi::PyObject_Call as *const ());
        call(callable, args, kwargs)
    }
}

/// A function or method that calls [`call`], as a method definition wants it.
pub(crate) fn definition(method: Method) -> ffi::PyMethodDefPointer {
    ffi::PyMethodDefPointer {
        // SAFETY: the same function; what calls it is C, which lets unwinding pass.
        PyCFunctionWithKeywords: unsafe {
            std::mem::transmute::<Method, ffi::PyCFunctionWithKeywords>(method)
        },
    }
}

/// What was there before work of a unit. Nothing in it drops; it is given to [`leave`], or lost.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    value: *mut ffi::PyObject,
    entered: Option<Token>,
}

/// Lets what runs now be work of a unit.
pub(crate) fn enter(py: Python<'_>, unit: UnitId) -> PyResult<Before> {
    let (value, entered) = (current::value(py), current::entered());
    // Given back before the work: only what runs under the unit keeps its token.
    current::enter(py, token_of(py, unit).as_ref())?;
    Ok(Before { value: value.map_or(null_mut(), Bound::into_ptr), entered })
}

/// Goes back to what there was before.
pub(crate) fn leave(py: Python<'_>, before: Before) -> PyResult<()> {
    // SAFETY: the lock is held, and the reference is ours.
    let value = unsafe { Bound::from_owned_ptr_or_opt(py, before.value) };
    let back = current::put(py, value.as_ref());
    current::set_entered(before.entered);
    back
}

/// What to call, and what was there before. Nothing in it drops.
#[derive(Clone, Copy)]
struct Begun {
    work: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    before: Before,
}

/// Adds `call_within` to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let method = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"call_within".as_ptr(),
        ml_meth: definition(call_within),
        ml_flags: ffi::METH_VARARGS | ffi::METH_KEYWORDS,
        ml_doc: c"call_within(unit, work, /, *args, **kwargs)\n--\n\nCalls `work(*args, **kwargs)` as work of a unit, and goes back to what there was before.".as_ptr(),
    }));
    // SAFETY: the definition lives for ever.
    let function = unsafe {
        Bound::from_owned_ptr_or_err(module.py(), ffi::PyCFunction_NewEx(method, null_mut(), null_mut()))?
    };
    module.add("call_within", function)
}

/// Calls `work(*args, **kwargs)` as work of a unit, and goes back to what there was before.
///
/// Natively, in one step: no signal's handler can raise in between, and no frame of ours stands in a traceback.
unsafe extern "C-unwind" fn call_within(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(begun) = guarded(|py| begin(py, args)) else { return null_mut() };
    // SAFETY: the interpreter calls methods with its lock held and lends the keywords; `begun` holds its objects, and drops nothing.
    let result = unsafe { call(begun.work, begun.args, kwargs) };
    guarded(|py| end(py, begun, result)).unwrap_or(null_mut())
}

/// Runs what calls no code of the app. `None` with an error set where it failed.
fn guarded<R>(body: impl FnOnce(Python<'_>) -> PyResult<R>) -> Option<R> {
    // SAFETY: methods are called with the interpreter's lock held.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            error.restore(py);
            None
        }
        Err(_) => {
            PyErr::new::<pyo3::exceptions::PySystemError, _>("the agent failed").restore(py);
            None
        }
    }
}

fn begin(py: Python<'_>, args: *mut ffi::PyObject) -> PyResult<Begun> {
    // SAFETY: the lock is held, and the caller lent a tuple for the length of the call: what it holds lives as long. The slice is ours.
    let (unit, work, rest) = unsafe {
        let size = ffi::PyTuple_Size(args);
        if size < 2 {
            return Err(PyTypeError::new_err("call_within() takes a unit and what to call"));
        }
        let unit = Bound::from_borrowed_ptr(py, ffi::PyTuple_GetItem(args, 0));
        let rest = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_GetSlice(args, 2, size))?;
        (unit, ffi::PyTuple_GetItem(args, 1), rest)
    };
    let before = enter(py, unit.extract()?)?;
    Ok(Begun { work, args: rest.into_ptr(), before })
}

fn end(py: Python<'_>, begun: Begun, result: *mut ffi::PyObject) -> PyResult<*mut ffi::PyObject> {
    // Going back calls into Python, which must not happen with an error set.
    let error = if result.is_null() { PyErr::take(py) } else { None };
    let back = leave(py, begun.before);
    // SAFETY: the lock is held, and the reference is ours.
    drop(unsafe { Bound::from_owned_ptr_or_opt(py, begun.args) });
    if let Err(fault) = back {
        // SAFETY: the lock is held, and the result is ours, or null.
        unsafe { ffi::Py_XDECREF(result) };
        return Err(fault);
    }
    error.map_or(Ok(result), Err)
}
