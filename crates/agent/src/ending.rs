//! The end of a unit of work: its lines are on disk when it is over.
//!
//! What the app forgot is collected first, which runs finalizers of the app, and what was written is told to log handlers of the
//! app. In both a daemon thread may end: see [`calling`].

use std::ptr::null_mut;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::calling::{self, guarded};
use crate::cell::give_back;
use crate::engine;
use crate::names;
use crate::run::Written;
use crate::state::{AGENT, with_agent};
use crate::{contexts, greenlets, token};

/// What a flush wrote: the shard's name, how many files, how many lines.
pub(crate) type Report = (String, usize, usize);

pub(crate) fn report(written: Written) -> Report {
    (written.shard, written.files, written.lines)
}

/// Adds `end_unit` to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let doc = c"end_unit(unit, tell, /)\n--\n\nEnds a unit: its lines are on disk when this returns.";
    calling::add_function(module, c"end_unit", end_unit, ffi::METH_VARARGS, doc)
}

/// Ends a unit: its lines are on disk when this returns. `tell(report, fault)` is called where something was written, or
/// could not be.
///
/// The running code must not belong to it any more. While something else does (a task that was left behind), the unit
/// stays open in the ledger.
unsafe extern "C-unwind" fn end_unit(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some((unit, tell)) = guarded(|py| {
        // SAFETY: the lock is held, and the caller lends a tuple for the length of the call: what it holds lives as long.
        let args: &Bound<'_, PyAny> = unsafe { Bound::ref_from_ptr(py, &args) };
        let (unit, tell): (UnitId, Bound<'_, PyAny>) =
            args.extract().map_err(|_| PyTypeError::new_err("end_unit() takes a unit and whom to tell"))?;
        Ok((unit, tell.as_ptr()))
    }) else {
        return null_mut();
    };
    // SAFETY: a function is called with the lock held.
    unsafe { end(unit, tell) }
}

/// The same; null with an error set where telling raised one.
///
/// # Safety
/// As [`calling::call`] has it; `tell` lives as long as the call.
pub(crate) unsafe fn end(unit: UnitId, tell: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let Some(held) = guarded(|py| {
        token::settle_gone(py);
        let token = AGENT.with(py, |state| state.tokens.remove(&unit)).flatten();
        Ok(token.map_or(null_mut(), Py::into_ptr))
    }) else {
        return null_mut();
    };
    // SAFETY: the caller's promise; the reference is ours.
    unsafe {
        if is_held(held) || token::any_left() {
            greenlets::let_go_quietly();
        }
        if is_held(held) {
            // Tasks that ended may be parts of cycles.
            collect();
        }
        let Some(arguments) = guarded(|py| Ok(close(py, unit, held).map_or(null_mut(), Bound::into_ptr)))
        else {
            return null_mut();
        };
        if arguments.is_null() {
            return calling::none();
        }
        let told = calling::call(tell, arguments, null_mut());
        calling::release(arguments);
        told
    }
}

/// Ends a unit that nothing ran under, and that nobody hears of.
pub(crate) fn end_quietly(py: Python<'_>, unit: UnitId) {
    let token = AGENT.with(py, |state| state.tokens.remove(&unit)).flatten();
    give_back(py, token);
    let _ = with_agent(py, |agent| agent.close(unit));
}

/// Closes a unit whose token was `held`; what is to be told, if anything is.
fn close(py: Python<'_>, unit: UnitId, held: *mut ffi::PyObject) -> Option<Bound<'_, PyAny>> {
    // A signal's handler may have interrupted it: what the unit executed is to be in its record all the same.
    let drained = if engine::is_present() { engine::drain(py) } else { Ok(()) };
    if drained.is_err() {
        let _ = engine::drain(py);
    }
    // SAFETY: the lock is held, and the reference is the caller's, who gives it.
    let (is_left, token) = unsafe { (is_held(held), Bound::from_owned_ptr_or_opt(py, held)) };
    let token = token.map(Bound::unbind);
    let ended = if is_left {
        if token.as_ref().is_some_and(|token| engine::is_present() && misses(py, token)) {
            AGENT.with(py, |state| state.agent.as_mut().map(|agent| agent.miss_left(unit)));
        }
        let written = with_agent(py, |agent| agent.leave_behind(unit));
        // Only now: the last holder may have gone in the meantime.
        give_back(py, token);
        written
    } else {
        give_back(py, token);
        with_agent(py, |agent| agent.close(unit))
    };
    let told = match drained.and(ended) {
        Ok(None) => return None,
        Ok(Some(written)) => (report(written), py.None()).into_pyobject(py),
        Err(fault) => (py.None(), fault).into_pyobject(py),
    };
    told.ok().map(Bound::into_any)
}

/// Whether the engine may not see what goes on under a token.
fn misses(py: Python<'_>, token: &Py<PyAny>) -> bool {
    !contexts::are_followed() || greenlets::have(py, token)
}

/// Whether anything but us holds a token; null is none.
unsafe fn is_held(token: *mut ffi::PyObject) -> bool {
    // SAFETY: the lock is held, and the object is ours.
    !token.is_null() && (unsafe { ffi::Py_REFCNT(token) }) > 1
}

/// Frees what was made lately and is reachable no more, unless the app forbade it.
///
/// # Safety
/// As [`calling::call`] has it.
unsafe fn collect() {
    let collect = guarded(|py| {
        let gc = py.import("gc")?;
        // Finalizers are the app's code: with `gc.disable()` it decides itself when they run.
        let enabled = gc.call_method0("isenabled")?.is_truthy()?;
        let young = (1,).into_pyobject(py)?.into_ptr();
        Ok(enabled.then_some((gc.getattr(names::collect(py))?.into_ptr(), young)))
    });
    // SAFETY: the caller's promise; the references are ours.
    unsafe {
        if let Some(Some((collect, young))) = collect {
            calling::release(calling::call(collect, young, null_mut()));
            calling::release(young);
            calling::release(collect);
        }
        // A fault here says nothing about the unit.
        ffi::PyErr_Clear();
    }
}
