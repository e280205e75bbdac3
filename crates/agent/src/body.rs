//! The body of a traced response, by PEP 3333: every piece of it is made as work of the request's unit.
//!
//! Natively, because a server asks three times at least (first piece, end, close): each frame of Python's in between
//! would cost as much as the switch to the unit and back. The methods that run the app's code let the end of a daemon thread
//! pass: see [`calling`].

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, ffi};

use crate::agent::UnitId;
use crate::calling::{self, guarded};
use crate::cell::AttachedCell;
use crate::{ending, names};

/// An iterable whose pieces, and whose end, are work of a unit. `body.TracedBody` in Python has what closes one that its
/// server forgets.
#[pyclass(subclass, frozen, weakref, module = "playtrace_agent._native")]
pub(crate) struct Body {
    /// What the app answered, until it is closed.
    held: AttachedCell<Option<Held>>,
    /// The request's unit; 0 when it is over. Units are counted from 1.
    unit: AtomicU64,
    /// Is told what was written at the end, or why it was not.
    tell: Py<PyAny>,
}

/// What a body is made of.
struct Held {
    /// What the app answered.
    answer: Py<PyAny>,
    /// Its iterator, once it was asked for a piece.
    iterator: Option<Py<PyAny>>,
}

#[pymethods]
impl Body {
    /// Wraps `body`; the unit ends when it is closed, and `tell(report, fault)` is called if there is something to tell.
    #[new]
    fn new(body: Py<PyAny>, unit: UnitId, tell: Py<PyAny>) -> Self {
        let held = AttachedCell::new(Some(Held { answer: body, iterator: None }));
        Self { held, unit: AtomicU64::new(unit), tell }
    }

    /// Itself: a body is read once.
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The request's unit; 0 when it is over.
    #[getter]
    fn unit(&self) -> UnitId {
        self.unit.load(Ordering::Relaxed)
    }

    /// What the app answered; `None` when it is over.
    #[getter]
    fn answer(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.held(py, |held| held.answer.clone_ref(py))
    }

    #[allow(clippy::needless_pass_by_value)] // as PyO3 hands it over
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.tell)?;
        // SAFETY: the collector runs with the interpreter's lock held; nothing here needs more than that.
        let py = unsafe { Python::assume_attached() };
        let visited = self.held(py, |held| {
            visit.call(&held.answer)?;
            held.iterator.as_ref().map_or(Ok(()), |iterator| visit.call(iterator))
        });
        visited.unwrap_or(Ok(()))
    }
}

/// Adds the class to the module, with the methods that run the app's code.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Body>();
    calling::give(&class, c"__next__", next, ffi::METH_NOARGS, c"The next piece.")?;
    let closes = c"Closes the body, then the unit; once.";
    calling::give(&class, c"close", close, ffi::METH_NOARGS, closes)?;
    let forgotten = c"Says that nobody has it any more.";
    calling::give(&class, c"__del__", forget, ffi::METH_NOARGS, forgotten)?;
    module.add_class::<Body>()
}

/// `body.__next__()`
unsafe extern "C-unwind" fn next(
    body: *mut ffi::PyObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(unit) = unit_of(body) else { return null_mut() };
    // SAFETY: a method is called with the lock held, and its object lives as long as the call.
    let next = || unsafe { piece(body) };
    let piece = if unit == 0 { next() } else { calling::within(unit, next) };
    // SAFETY: the lock is held.
    if piece.is_null() && unsafe { ffi::PyErr_Occurred() }.is_null() {
        // SAFETY: as above.
        unsafe { ffi::PyErr_SetNone(ffi::PyExc_StopIteration) };
    }
    piece
}

/// The next piece; null without an error at the end.
///
/// # Safety
/// As [`calling::call`] has it; `body` is a [`Body`].
unsafe fn piece(body: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let Some((answer, mut iterator)) = guarded(|py| Ok(of(py, &body).references(py))) else {
        return null_mut();
    };
    // SAFETY: the caller's promise; the references are ours.
    unsafe {
        if answer.is_null() {
            return null_mut();
        }
        if iterator.is_null() {
            iterator = calling::iterate(answer);
            if !iterator.is_null() {
                // Two threads that ask for the first piece at once have one iterator each, as they would have of the body.
                let other = guarded(|py| Ok(of(py, &body).keep(py, iterator)));
                calling::release(other.unwrap_or(null_mut()));
            }
        }
        let piece = if iterator.is_null() { null_mut() } else { calling::next(iterator) };
        calling::release(iterator);
        calling::release(answer);
        piece
    }
}

/// `body.close()`
unsafe extern "C-unwind" fn close(
    body: *mut ffi::PyObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(unit) = unit_of(body) else { return null_mut() };
    // SAFETY: a method is called with the lock held, and its object lives as long as the call.
    unsafe {
        if unit == 0 {
            return calling::none();
        }
        let closed = calling::within(unit, || close_answer(body));
        // Whoever closes it a second time, from within its own end, say, finds it closed.
        if closed.is_null() {
            // What the app raised is what counts.
            let error = calling::take_error();
            let ended = end(body);
            if ended.is_null() {
                ffi::PyErr_Clear();
            }
            calling::release(ended);
            calling::restore_error(error);
            return closed;
        }
        let ended = end(body);
        calling::release(if ended.is_null() { closed } else { ended });
        if ended.is_null() { ended } else { closed }
    }
}

/// `body.__del__()`: `left_open()`, unless it is closed. Natively, because nearly every body is.
unsafe extern "C-unwind" fn forget(
    body: *mut ffi::PyObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(unit) = unit_of(body) else { return null_mut() };
    // SAFETY: a method is called with the lock held, and its object lives as long as the call.
    unsafe {
        if unit == 0 {
            return calling::none();
        }
        let Some(name) = guarded(|py| Ok(names::left_open(py).as_ptr())) else { return null_mut() };
        calling::call_method_if_any(body, name)
    }
}

/// Closes what the app answered, and lets go of it.
///
/// # Safety
/// As [`calling::call`] has it; `body` is a [`Body`].
unsafe fn close_answer(body: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let Some((answer, iterator)) = guarded(|py| Ok(of(py, &body).references(py))) else {
        return null_mut();
    };
    // SAFETY: the caller's promise; the references are ours.
    unsafe {
        calling::release(iterator);
        if answer.is_null() {
            return calling::none();
        }
        let Some(name) = guarded(|py| Ok(names::close(py).as_ptr())) else { return null_mut() };
        let closed = calling::call_method_if_any(answer, name);
        calling::release(answer);
        // What nobody else has ends here: `finally` blocks of generators and `__del__` are the request's work.
        let Some((answer, iterator)) = guarded(|py| {
            let held = of(py, &body).held.with(py, Option::take).flatten();
            Ok(held.map_or((null_mut(), null_mut()), |held| {
                (held.answer.into_ptr(), held.iterator.map_or(null_mut(), Py::into_ptr))
            }))
        }) else {
            return null_mut();
        };
        calling::release(answer);
        calling::release(iterator);
        closed
    }
}

/// Ends the unit, once.
///
/// # Safety
/// As [`calling::call`] has it; `body` is a [`Body`].
unsafe fn end(body: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let Some((unit, tell)) = guarded(|py| {
        let body = of(py, &body);
        Ok((body.unit.swap(0, Ordering::Relaxed), body.tell.as_ptr()))
    }) else {
        return null_mut();
    };
    // SAFETY: the caller's promise; the body holds what is told.
    unsafe { if unit == 0 { calling::none() } else { ending::end(unit, tell) } }
}

/// A body's unit; 0 when it is over.
fn unit_of(body: *mut ffi::PyObject) -> Option<UnitId> {
    guarded(|py| Ok(of(py, &body).unit.load(Ordering::Relaxed)))
}

/// The body that a method was called on.
fn of<'a>(py: Python<'a>, object: &'a *mut ffi::PyObject) -> &'a Body {
    calling::receiver(py, object)
}

impl Body {
    /// Looks at what it holds; `f` runs no Python code.
    fn held<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Held) -> R) -> Option<R> {
        self.held.with(py, |held| held.as_mut().map(f)).flatten()
    }

    /// New references to the app's answer and its iterator, as far as they are there.
    fn references(&self, py: Python<'_>) -> (*mut ffi::PyObject, *mut ffi::PyObject) {
        let references = self.held(py, |held| {
            let iterator =
                held.iterator.as_ref().map_or(null_mut(), |iterator| iterator.clone_ref(py).into_ptr());
            (held.answer.clone_ref(py).into_ptr(), iterator)
        });
        references.unwrap_or((null_mut(), null_mut()))
    }

    /// Keeps an iterator; the reference to the one before, if any.
    fn keep(&self, py: Python<'_>, iterator: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the caller's object, which is not null.
        let iterator = unsafe { Bound::from_borrowed_ptr(py, iterator) };
        let before = self.held(py, |held| held.iterator.replace(iterator.unbind())).flatten();
        before.map_or(null_mut(), Py::into_ptr)
    }
}
