//! A block of code that is traced by hand: `trace()`.
//!
//! Natively, because a `with` statement enters and leaves in one step only what is no Python function: a signal's handler
//! can raise between any two steps of one, and the code around the block would go on as another profile's work, or nobody's.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::cell::AttachedCell;
use crate::functions::units::{close_unit, open_unit};
use crate::state::token_of;
use crate::{current, monitor};

/// A context manager. `block.Block` in Python makes it a decorator, too.
#[pyclass(subclass, frozen, weakref, module = "playtrace_agent._native")]
pub(crate) struct Block {
    slug: String,
    run: Option<String>,
    /// Is told slug and run when their first unit here was opened.
    began: Py<PyAny>,
    /// Ends the unit.
    end: Py<PyAny>,
    entered: AtomicBool,
    /// The unit, and what the code around the block belongs to.
    under_way: AttachedCell<Option<(UnitId, Option<Py<PyAny>>)>>,
}

#[pymethods]
impl Block {
    /// Describes a block; nothing is opened yet.
    #[new]
    #[pyo3(signature = (slug, run, began, end))]
    fn new(slug: String, run: Option<String>, began: Py<PyAny>, end: Py<PyAny>) -> Self {
        Self { slug, run, began, end, entered: AtomicBool::new(false), under_way: AttachedCell::new(None) }
    }

    /// Opens a unit and lets the running code belong to it.
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        if self.entered.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("the block is entered already"));
        }
        let entered = self.open(py);
        if entered.is_err() {
            self.entered.store(false, Ordering::Relaxed);
        }
        entered
    }

    /// Lets the code around the block go on under what it was under before, and ends the unit.
    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some((unit, before)) = self.under_way.with(py, Option::take).flatten() else { return Ok(()) };
        self.entered.store(false, Ordering::Relaxed);
        go_on(py, before.as_ref().map(|before| before.bind(py)))?;
        self.end.call1(py, (unit,)).map(drop)
    }
}

impl Block {
    fn open(&self, py: Python<'_>) -> PyResult<()> {
        let (unit, first) =
            open_unit(py, &self.slug, self.run.as_deref(), "block", None, None, None, "trace()", None)?;
        let before = current::value(py);
        // The app's handlers of log records are not part of the block.
        let said = if first { self.began.call1(py, (&self.slug, &self.run)).map(drop) } else { Ok(()) };
        let entered = said.and_then(|()| go_on(py, token_of(py, unit).as_ref()));
        if let Err(error) = entered {
            // It is that error that matters: what is left open is named by the verdict.
            let _ = close_unit(py, unit);
            return Err(error);
        }
        self.under_way.with(py, |under_way| *under_way = Some((unit, before.map(Bound::unbind))));
        Ok(())
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
