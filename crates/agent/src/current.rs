//! The `ContextVar` that says to which context the running code belongs.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use playtrace_tracer::Token;
use pyo3::ffi;
use pyo3::prelude::*;

/// `ContextVar.get`, bound. Called for each event that may be news; events arrive while the interpreter shuts down
/// and the module's own names are gone, so it is kept for ever.
static GET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `ContextVar.set`, bound.
static SET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// The token of work that has none of its own: a child process's. 0 is none; generations begin at 1.
static BASE: AtomicU64 = AtomicU64::new(0);

/// Makes the variable. Its value is a token's number, or `None`.
pub(crate) fn create(py: Python<'_>) -> PyResult<()> {
    let defaults = pyo3::types::PyDict::new(py);
    defaults.set_item("default", py.None())?;
    let variable =
        py.import("contextvars")?.getattr("ContextVar")?.call(("playtrace_agent",), Some(&defaults))?;
    GET.store(variable.getattr("get")?.unbind().into_ptr(), Ordering::Relaxed);
    SET.store(variable.getattr("set")?.unbind().into_ptr(), Ordering::Relaxed);
    Ok(())
}

/// The token that the running code's context holds, the process's own not counted.
pub(crate) fn own(_attached: Python<'_>) -> Option<Token> {
    let get = GET.load(Ordering::Relaxed);
    if get.is_null() {
        return None;
    }
    // SAFETY: the lock is held; `get` is the bound method of a variable that lives for ever, a C function that runs no
    // Python code. The value is an int or None; None and anything odd leaves an error, which is cleared.
    unsafe {
        let value = ffi::PyObject_CallNoArgs(get);
        if value.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        if value == ffi::Py_None() {
            ffi::Py_DECREF(value);
            return None;
        }
        let raw = ffi::PyLong_AsUnsignedLongLong(value);
        ffi::Py_DECREF(value);
        if raw == u64::MAX {
            ffi::PyErr_Clear();
            return None;
        }
        Some(Token::from_raw(raw))
    }
}

/// The token under which the running code's lines are recorded.
pub(crate) fn token(py: Python<'_>) -> Option<Token> {
    own(py).or_else(base)
}

/// The process's own token.
pub(crate) fn base() -> Option<Token> {
    Some(BASE.load(Ordering::Relaxed)).filter(|raw| *raw != 0).map(Token::from_raw)
}

/// Sets the process's own token.
pub(crate) fn set_base(token: Option<Token>) {
    BASE.store(token.map_or(0, Token::raw), Ordering::Relaxed);
}

/// Sets what the running code's context holds.
pub(crate) fn set(py: Python<'_>, token: Option<Token>) -> PyResult<()> {
    let set = SET.load(Ordering::Relaxed);
    // SAFETY: the lock is held; the pointer is null or the bound method of a variable that lives for ever.
    let Some(set) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, set) }) else { return Ok(()) };
    set.call1((token.map(Token::raw),))?;
    Ok(())
}
