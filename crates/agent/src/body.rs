//! A response body whose every piece is made by traced code.
//!
//! Native: the server asks for pieces in a loop, and each piece enters and leaves the work. In Python that was a third of what a traced
//! request cost, and a frame in the tracebacks of a body that fails.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::agent::UnitId;
use crate::token::TokenObject;
use crate::{AGENT, current};

/// Wraps the iterable that an app returned; the unit ends with it.
#[pyclass(module = "playtrace_agent._native")]
pub(crate) struct TracedBody {
    body: Py<PyAny>,
    iterator: Option<Py<PyIterator>>,
    /// `None` once it was closed.
    unit: Option<UnitId>,
    /// Ends the unit.
    end: Py<PyAny>,
    /// Is told of a body that nobody closed, with how to do it.
    forgotten: Py<PyAny>,
}

#[pymethods]
impl TracedBody {
    #[new]
    fn new(body: Py<PyAny>, unit: UnitId, end: Py<PyAny>, forgotten: Py<PyAny>) -> Self {
        Self { body, iterator: None, unit: Some(unit), end, forgotten }
    }

    /// A body is read once.
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// Makes the next piece.
    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let unit = slf.borrow().unit;
        within(py, unit, || {
            // Borrowed for a moment only: what makes the piece may come back to this very body.
            let begun = slf.borrow().iterator.as_ref().map(|iterator| iterator.clone_ref(py));
            let iterator = if let Some(iterator) = begun {
                iterator
            } else {
                let body = slf.borrow().body.clone_ref(py);
                let iterator = body.bind(py).try_iter()?.unbind();
                slf.borrow_mut().iterator = Some(iterator.clone_ref(py));
                iterator
            };
            iterator.into_bound(py).next().transpose().map(|piece| piece.map(Bound::unbind))
        })
    }

    /// Closes the body, then the unit; once.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let Some(unit) = slf.borrow().unit else { return Ok(()) };
        let (body, end) = {
            let this = slf.borrow();
            (this.body.clone_ref(py), this.end.clone_ref(py))
        };
        let closed = close_body(py, unit, body.bind(py));
        slf.borrow_mut().unit = None;
        end.call0(py).and(closed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.body)?;
        visit.call(&self.iterator)?;
        visit.call(&self.end)?;
        visit.call(&self.forgotten)
    }
}

fn close_body(py: Python<'_>, unit: UnitId, body: &Bound<'_, PyAny>) -> PyResult<()> {
    let close = body.getattr_opt("close")?.filter(|close| !close.is_none());
    let Some(close) = close else { return Ok(()) };
    within(py, Some(unit), || close.call0().map(drop))
}

/// Runs `work` as work of a unit; without one, as it is.
fn within<R>(py: Python<'_>, unit: Option<UnitId>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let Some(unit) = unit else { return work() };
    let token = AGENT.with(py, |state| state.tokens.get(&unit).map(|token| token.clone_ref(py))).flatten();
    let Some(token) = token else { return work() };
    let before = current::own(py);
    current::enter(py, Some(token.bind(py)))?;
    // Given back before the work: only what runs under the unit keeps its token.
    drop(token);
    let done = work();
    left(py, before.as_ref()).and(done)
}

fn left(py: Python<'_>, before: Option<&Bound<'_, TokenObject>>) -> PyResult<()> {
    current::enter(py, before).map_err(|error| {
        let fault = PyRuntimeError::new_err("the work of a profile could not be left");
        fault.set_cause(py, Some(error));
        fault
    })
}

impl Drop for TracedBody {
    /// Closes a body that its server forgot.
    fn drop(&mut self) {
        let Some(unit) = self.unit.take() else { return };
        Python::attach(|py| {
            // Objects die while an exception is on its way, too.
            let error = PyErr::take(py);
            let (body, end) = (self.body.clone_ref(py), self.end.clone_ref(py));
            let close = move |py: Python<'_>| {
                let closed = close_body(py, unit, body.bind(py));
                end.call0(py).and(closed)
            };
            let close =
                pyo3::types::PyCFunction::new_closure(py, None, None, move |_, _| Python::attach(&close));
            // `forgotten` says what goes wrong; it raises nothing but what interrupts from outside, which has nobody to go to here.
            let _ = close.and_then(|close| self.forgotten.call1(py, (close,)));
            if let Some(error) = error {
                error.restore(py);
            }
        });
    }
}
