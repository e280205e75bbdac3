//! The body of a traced response, by PEP 3333: every piece of it is made as work of the request's unit.
//!
//! Natively, because a server asks three times at least (first piece, end, close): each frame of Python's in between
//! would cost as much as the switch to the unit and back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyIterator;
use pyo3::{PyTraverseError, PyVisit};

use crate::agent::UnitId;
use crate::{names, within};

/// An iterable whose pieces, and whose end, are work of a unit. `body.TracedBody` in Python makes it close itself when its
/// server forgets it.
#[pyclass(subclass, frozen, weakref, module = "playtrace_agent._native")]
pub(crate) struct Body {
    /// What the app answered.
    answer: Py<PyAny>,
    /// Its iterator, once it was asked for a piece.
    iterator: OnceLock<Py<PyIterator>>,
    /// The request's unit; 0 when it is over. Units are counted from 1.
    unit: AtomicU64,
    /// Ends the unit.
    end: Py<PyAny>,
}

#[pymethods]
impl Body {
    /// Wraps `body`; `end(unit)` is called when it is closed.
    #[new]
    fn new(body: Py<PyAny>, unit: UnitId, end: Py<PyAny>) -> Self {
        Self { answer: body, iterator: OnceLock::new(), unit: AtomicU64::new(unit), end }
    }

    /// Itself: a body is read once.
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next piece.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.within(py, || {
            let mut iterator = match self.iterator.get() {
                Some(iterator) => iterator.bind(py).clone(),
                None => self.first(py)?,
            };
            iterator.next().transpose()
        })
    }

    /// Closes the body, then the unit; once.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let unit = self.unit.load(Ordering::Relaxed);
        if unit == 0 {
            return Ok(());
        }
        let closed = self.within(py, || match self.answer.bind(py).getattr_opt(names::close(py))? {
            Some(close) if !close.is_none() => close.call0().map(drop),
            _ => Ok(()),
        });
        // Whoever closes it a second time, from within its own end, say, finds it closed.
        if self.unit.swap(0, Ordering::Relaxed) != 0 {
            self.end.call1(py, (unit,))?;
        }
        closed
    }

    /// Whether it is still to be closed.
    #[getter]
    fn is_open(&self) -> bool {
        self.unit.load(Ordering::Relaxed) != 0
    }

    #[allow(clippy::needless_pass_by_value)] // as PyO3 hands it over
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.answer)?;
        visit.call(&self.end)?;
        self.iterator.get().map_or(Ok(()), |iterator| visit.call(iterator))
    }
}

impl Body {
    fn first<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let iterator = self.answer.bind(py).try_iter()?;
        // Two threads that ask for the first piece at once have one iterator each, as they would have of the body.
        let _ = self.iterator.set(iterator.clone().unbind());
        Ok(iterator)
    }

    fn within<R>(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        match self.unit.load(Ordering::Relaxed) {
            0 => work(),
            unit => within(py, unit, work),
        }
    }
}
