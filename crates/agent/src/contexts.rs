//! `contextvars.Context.run`, for the engine on top of coverage.py: within it, other work runs, and nobody tells.
//!
//! An event loop runs each step of each task so, in the task's context; and so does whoever carries a context into another thread. `sys.monitoring`
//! reports every line, and the line's context is asked for then. A trace function that is set in a thread has to be set when the context changes. The method is
//! replaced in the type's dictionary, by a method descriptor that looks like it and has no frame.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::calling::{self, guarded};
use crate::engine;
use crate::greenlets::replace_method;

/// The interpreter's own method; null before it was replaced.
static ORIGINAL: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// [`within`], as Python calls it.
static WITHIN: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// Adds what is for contexts to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(contexts_followed, module)?)?;
    module.add_function(wrap_pyfunction!(follow_contexts, module)?)
}

/// Whether work is followed into contexts that code enters by itself.
pub(crate) fn are_followed() -> bool {
    !ORIGINAL.load(Ordering::Relaxed).is_null()
}

/// The same for Python.
#[pyfunction]
fn contexts_followed() -> bool {
    are_followed()
}

/// Has the engine follow work into contexts, from now on. Says whether that can be done.
#[pyfunction]
fn follow_contexts(py: Python<'_>) -> PyResult<bool> {
    if are_followed() {
        return Ok(true);
    }
    let kind = py.import("contextvars")?.getattr("Context")?.cast_into::<PyType>()?;
    let original = kind.getattr("run")?;
    let flags = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
    let method = calling::definition(c"run", run, flags, c"");
    let inner = calling::definition(c"run", within, flags, c"");
    // SAFETY: the definitions live for ever, and the class is one.
    let (method, inner) = unsafe {
        let method = ffi::PyDescr_NewMethod(kind.as_type_ptr(), method);
        let inner = ffi::PyCFunction_NewEx(inner, null_mut(), null_mut());
        (Bound::from_owned_ptr_or_err(py, method)?, Bound::from_owned_ptr_or_err(py, inner)?)
    };
    // Before it is reached: whoever finds the new method finds these.
    WITHIN.store(inner.unbind().into_ptr(), Ordering::Relaxed);
    ORIGINAL.store(original.unbind().into_ptr(), Ordering::Relaxed);
    let replaced = replace_method(&kind, "run", &method);
    if !matches!(replaced, Ok(true)) {
        ORIGINAL.store(null_mut(), Ordering::Relaxed);
    }
    replaced
}

/// `context.run(callable, *args, **kwargs)`. Nothing in it drops: see [`calling`].
unsafe extern "C-unwind" fn run(
    context: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a method is called with the lock held; what is lent lives as long as the call, the tuples are ours, and the functions live for ever.
    unsafe {
        // Without anything to call, the original says what is wrong.
        let first = if ffi::PyTuple_Size(args) > 0 {
            ffi::PyTuple_Pack(2, context, WITHIN.load(Ordering::Relaxed))
        } else {
            ffi::PyTuple_Pack(1, context)
        };
        let all = if first.is_null() { null_mut() } else { ffi::PySequence_Concat(first, args) };
        ffi::Py_XDECREF(first);
        if all.is_null() {
            return null_mut();
        }
        let result = calling::call(ORIGINAL.load(Ordering::Relaxed), all, keywords);
        calling::release(all);
        // The thread goes on with what it did before. That calls into Python, which must not happen with an error set.
        let error = if result.is_null() { calling::take_error() } else { null_mut() };
        if guarded(engine::follow).is_some() {
            calling::restore_error(error);
            return result;
        }
        if result.is_null() {
            // What the app raised is what counts.
            ffi::PyErr_Clear();
            calling::restore_error(error);
        } else {
            calling::release(result);
        }
        null_mut()
    }
}

/// What runs in the context: `callable(*args, **kwargs)`, traced if the context says so.
unsafe extern "C-unwind" fn within(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a function is called with the lock held; what is lent lives as long as the call, and the tuple is ours.
    unsafe {
        let rest = ffi::PyTuple_GetSlice(args, 1, ffi::PyTuple_Size(args));
        if rest.is_null() {
            return null_mut();
        }
        let result = if guarded(engine::follow).is_some() {
            calling::call(ffi::PyTuple_GetItem(args, 0), rest, keywords)
        } else {
            null_mut()
        };
        calling::release(rest);
        result
    }
}
