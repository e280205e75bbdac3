//! A block of code that is traced by hand: `trace()`.
//!
//! Natively, because a `with` statement enters and leaves in one step only what is no Python function: a signal's handler
//! can raise between any two steps of one, and the code around the block would go on as another profile's work, or nobody's.
//! Both call log handlers of the app, in which a daemon thread may end: see [`calling`].

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::calling::{self, guarded};
use crate::cell::AttachedCell;
use crate::functions::units::open_unit;
use crate::state::token_of;
use crate::{TraceError, current, ending, monitor};

/// A context manager. `block.Block` in Python makes it a decorator, too.
#[pyclass(subclass, frozen, weakref, module = "playtrace_agent._native")]
pub(crate) struct Block {
    slug: String,
    run: Option<String>,
    /// Is told slug and run when their first unit here was opened.
    began: Py<PyAny>,
    /// Is told what was written at the end, or why it was not.
    tell: Py<PyAny>,
    /// Is told slug, run and the fault where the block can't be traced.
    failed: Py<PyAny>,
    entered: AtomicBool,
    /// The unit, and what the code around the block belongs to.
    under_way: AttachedCell<Option<(UnitId, Option<Py<PyAny>>)>>,
}

#[pymethods]
impl Block {
    /// Describes a block; nothing is opened yet.
    #[new]
    #[pyo3(signature = (slug, run, began, tell, failed))]
    fn new(slug: String, run: Option<String>, began: Py<PyAny>, tell: Py<PyAny>, failed: Py<PyAny>) -> Self {
        let (entered, under_way) = (AtomicBool::new(false), AttachedCell::new(None));
        Self { slug, run, began, tell, failed, entered, under_way }
    }
}

/// Adds the class to the module, with the methods that call Python.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Block>();
    let opens = c"Opens a unit and lets the running code belong to it.";
    calling::give(&class, c"__enter__", enter, ffi::METH_NOARGS, opens)?;
    let ends = c"Lets the code around the block go on under what it was under before, and ends the unit.";
    calling::give(&class, c"__exit__", exit, ffi::METH_VARARGS, ends)?;
    module.add_class::<Block>()
}

/// What is to be told before a block is entered. Nothing in it drops.
#[derive(Clone, Copy)]
struct Tell {
    /// The block's, or null.
    whom: *mut ffi::PyObject,
    /// A tuple of ours, or null.
    arguments: *mut ffi::PyObject,
    /// The unit; 0 where it can't be traced.
    unit: UnitId,
}

/// `block.__enter__()`
unsafe extern "C-unwind" fn enter(
    block: *mut ffi::PyObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(tell) = guarded(|py| of(py, &block).open(py)) else { return null_mut() };
    // SAFETY: a method is called with the lock held, and its object lives as long as the call; the references are ours.
    unsafe {
        // The app's handlers of log records are not part of the block.
        let told = if tell.whom.is_null() {
            calling::none()
        } else {
            calling::call(tell.whom, tell.arguments, null_mut())
        };
        calling::release(tell.arguments);
        if told.is_null() {
            // It is that error that matters: what is left open is named by the verdict.
            let error = calling::take_error();
            guarded(|py| {
                of(py, &block).give_up(py, tell.unit);
                Ok(())
            });
            calling::restore_error(error);
        } else if guarded(|py| of(py, &block).go_in(py, tell.unit)).is_none() {
            calling::release(told);
            return null_mut();
        }
        told
    }
}

/// `block.__exit__(*raised)`
unsafe extern "C-unwind" fn exit(
    block: *mut ffi::PyObject,
    _raised: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(unit) = guarded(|py| of(py, &block).go_out(py)) else { return null_mut() };
    // SAFETY: as above; the block has what is told.
    unsafe {
        let Some(unit) = unit else { return calling::none() };
        let Some(tell) = guarded(|py| Ok(of(py, &block).tell.as_ptr())) else { return null_mut() };
        ending::end(unit, tell)
    }
}

/// The block that a method was called on.
fn of<'a>(py: Python<'a>, object: &'a *mut ffi::PyObject) -> &'a Block {
    calling::receiver(py, object)
}

impl Block {
    /// Opens a unit.
    fn open(&self, py: Python<'_>) -> PyResult<Tell> {
        if self.entered.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("the block is entered already"));
        }
        let tell = self.open_unit(py);
        if tell.is_err() {
            self.entered.store(false, Ordering::Relaxed);
        }
        tell
    }

    fn open_unit(&self, py: Python<'_>) -> PyResult<Tell> {
        let run = self.run.as_deref();
        let (unit, first) = match open_unit(py, &self.slug, run, "block", None, None, None, "trace()", None) {
            // A directory that can't be written, say: the block runs, untraced.
            Err(fault) if fault.is_instance_of::<TraceError>(py) => {
                let arguments = (&self.slug, run, fault).into_pyobject(py)?.into_ptr();
                return Ok(Tell { whom: self.failed.as_ptr(), arguments, unit: 0 });
            }
            opened => opened?,
        };
        if !first {
            return Ok(Tell { whom: null_mut(), arguments: null_mut(), unit });
        }
        let arguments = (&self.slug, run).into_pyobject(py)?.into_ptr();
        Ok(Tell { whom: self.began.as_ptr(), arguments, unit })
    }

    /// Lets the running code belong to the unit; to what it does where there is none.
    fn go_in(&self, py: Python<'_>, unit: UnitId) -> PyResult<()> {
        if unit == 0 {
            return Ok(());
        }
        let before = current::value(py);
        if let Err(error) = go_on(py, token_of(py, unit).as_ref()) {
            self.give_up(py, unit);
            return Err(error);
        }
        self.under_way.with(py, |under_way| *under_way = Some((unit, before.map(Bound::unbind))));
        Ok(())
    }

    /// The block is not entered.
    fn give_up(&self, py: Python<'_>, unit: UnitId) {
        self.entered.store(false, Ordering::Relaxed);
        ending::end_quietly(py, unit);
    }

    /// Lets the code around the block go on under what it was under before. Gives the unit, if there is one.
    fn go_out(&self, py: Python<'_>) -> PyResult<Option<UnitId>> {
        self.entered.store(false, Ordering::Relaxed);
        let Some((unit, before)) = self.under_way.with(py, Option::take).flatten() else {
            return Ok(None);
        };
        let before = before.map(|before| before.into_bound(py));
        go_on(py, before.as_ref())?;
        Ok(Some(unit))
    }
}

/// Lets the code that is running now belong to something else.
fn go_on(py: Python<'_>, to: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    current::put(py, to)?;
    // Its own, or that of the process.
    if let Some(token) = current::token(py) {
        monitor::rearm_stack(py, token);
    }
    Ok(())
}
