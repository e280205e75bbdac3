//! The `ContextVar` that says to which context the running code belongs.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use playtrace_tracer::Token;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::token::TokenObject;

/// `ContextVar.get`, bound. Called for each event that may be news; events arrive while the interpreter shuts down
/// and the module's own names are gone, so it is kept for ever.
static GET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `ContextVar.set`, bound.
static SET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// The token of work that has none of its own: a child process's. 0 is none; generations begin at 1.
static BASE: AtomicU64 = AtomicU64::new(0);

/// Makes the variable. Its value is a unit's token, or `None`.
pub(crate) fn create(py: Python<'_>) -> PyResult<()> {
    let defaults = pyo3::types::PyDict::new(py);
    defaults.set_item("default", py.None())?;
    let variable =
        py.import("contextvars")?.getattr("ContextVar")?.call(("playtrace_agent",), Some(&defaults))?;
    GET.store(variable.getattr("get")?.unbind().into_ptr(), Ordering::Relaxed);
    SET.store(variable.getattr("set")?.unbind().into_ptr(), Ordering::Relaxed);
    Ok(())
}

/// What the running code's context holds, the process's own not counted.
pub(crate) fn own(py: Python<'_>) -> Option<Bound<'_, TokenObject>> {
    let get = GET.load(Ordering::Relaxed);
    if get.is_null() {
        return None;
    }
    // SAFETY: the lock is held; `get` is the bound method of a variable that lives for ever, a C function that runs no
    // Python code. An error it may leave is cleared.
    let value = unsafe {
        let value = Bound::from_owned_ptr_or_opt(py, ffi::PyObject_CallNoArgs(get));
        if value.is_none() {
            ffi::PyErr_Clear();
        }
        value?
    };
    value.cast_into::<TokenObject>().ok()
}

/// The token under which the running code's lines are recorded.
pub(crate) fn token(py: Python<'_>) -> Option<Token> {
    own(py).map(|held| held.get().token()).or_else(base)
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
pub(crate) fn set(py: Python<'_>, held: Option<&Bound<'_, TokenObject>>) -> PyResult<()> {
    let set = SET.load(Ordering::Relaxed);
    // SAFETY: the lock is held; the pointer is null or the bound method of a variable that lives for ever.
    let Some(set) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, set) }) else { return Ok(()) };
    set.call1((held,))?;
    Ok(())
}
