//! The body of a traced response, by PEP 3333: every piece of it is made as work of the request's unit.
//!
//! Natively, because a server asks three times at least (first piece, end, close): each frame of Python's in between
//! would cost as much as the switch to the unit and back.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyIterator;
use pyo3::{PyTraverseError, PyVisit};

use crate::agent::UnitId;
use crate::cell::AttachedCell;
use crate::{names, within};

/// An iterable whose pieces, and whose end, are work of a unit. `body.TracedBody` in Python makes it close itself when its
/// server forgets it.
#[pyclass(subclass, frozen, weakref, module = "playtrace_agent._native")]
pub(crate) struct Body {
    /// What the app answered, until it is closed.
    held: AttachedCell<Option<Held>>,
    /// The request's unit; 0 when it is over. Units are counted from 1.
    unit: AtomicU64,
    /// Ends the unit.
    end: Py<PyAny>,
}

/// What a body is made of.
struct Held {
    /// What the app answered.
    answer: Py<PyAny>,
    /// Its iterator, once it was asked for a piece.
    iterator: Option<Py<PyIterator>>,
}

#[pymethods]
impl Body {
    /// Wraps `body`; `end(unit)` is called when it is closed.
    #[new]
    fn new(body: Py<PyAny>, unit: UnitId, end: Py<PyAny>) -> Self {
        let held = AttachedCell::new(Some(Held { answer: body, iterator: None }));
        Self { held, unit: AtomicU64::new(unit), end }
    }

    /// Itself: a body is read once.
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next piece.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.within(py, || {
            let next = self.held(py, |held| match &held.iterator {
                Some(iterator) => Ok(iterator.clone_ref(py)),
                None => Err(held.answer.clone_ref(py)),
            });
            let mut iterator = match next {
                None => return Ok(None),
                Some(Ok(iterator)) => iterator.into_bound(py),
                Some(Err(answer)) => self.first(answer.bind(py))?,
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
        let closed = self.within(py, || {
            let closed = self.close_answer(py);
            // What nobody else has ends here: `finally` blocks of generators and `__del__` are the request's work.
            drop(self.held.with(py, Option::take));
            closed
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
        visit.call(&self.end)?;
        // SAFETY: the collector runs with the interpreter's lock held; nothing here needs more than that.
        let py = unsafe { Python::assume_attached() };
        let visited = self.held(py, |held| {
            visit.call(&held.answer)?;
            held.iterator.as_ref().map_or(Ok(()), |iterator| visit.call(iterator))
        });
        visited.unwrap_or(Ok(()))
    }
}

impl Body {
    /// Looks at what it holds; `f` runs no Python code.
    fn held<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Held) -> R) -> Option<R> {
        self.held.with(py, |held| held.as_mut().map(f)).flatten()
    }

    fn first<'py>(&self, answer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
        let iterator = answer.try_iter()?;
        // Two threads that ask for the first piece at once have one iterator each, as they would have of the body.
        let kept = self.held(answer.py(), |held| held.iterator.replace(iterator.clone().unbind()));
        drop(kept);
        Ok(iterator)
    }

    fn close_answer(&self, py: Python<'_>) -> PyResult<()> {
        let Some(answer) = self.held(py, |held| held.answer.clone_ref(py)) else { return Ok(()) };
        match answer.bind(py).getattr_opt(names::close(py))? {
            Some(close) if !close.is_none() => close.call0().map(drop),
            _ => Ok(()),
        }
    }

    fn within<R>(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        match self.unit.load(Ordering::Relaxed) {
            0 => work(),
            unit => within(py, unit, work),
        }
    }
}
