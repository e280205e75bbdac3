//! The WSGI middleware's own call: a request without the header goes straight to the app, and a traced one is opened and answered.
//!
//! Natively, because one frame of Python's takes longer than all that is done for a request that is not traced. What is out of the
//! ordinary is left to the function of Python's in whose place this stands: another kind of environ, a request that another
//! middleware has opened, the first traced one. What is called may be the app's code: see [`calling`].

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::callable::count;
use crate::calling::{self, guarded};
use crate::opening::{self, Opened};
use crate::request::{self, Answering};
use crate::token::TokenObject;
use crate::{current, due, ending, entered, frames, method, names};

/// `logging.INFO`
const INFO: i32 = 20;

/// Adds what makes it to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(middleware_call, module)?)
}

/// What stands in the place of a middleware's `__call__`; `None` where the interpreter is too old for that.
///
/// `rest` and `meet` are called now and then for a request without the header; `informs` says whether the log wants to know of traced ones,
/// and is told by `opened(slug, environ, first)`, as it is of a run's first one in any case; `refused(middleware, environ, start_response, why)`
/// answers one that can't be traced: why is an exception, or the reason and the number that [`opening::Opened::Refused`] has.
#[pyfunction]
fn middleware_call(
    py: Python<'_>,
    call: &Bound<'_, PyAny>,
    rest: &Bound<'_, PyAny>,
    meet: &Bound<'_, PyAny>,
    informs: &Bound<'_, PyAny>,
    opened: &Bound<'_, PyAny>,
    refused: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    let made = method::make(py, pass, &[call, rest, meet, informs, opened, refused])?;
    Ok(made.map(Bound::unbind))
}

/// `middleware(environ, start_response)`
unsafe extern "C-unwind" fn pass(
    me: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    with_flag: usize,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a method of ours is called with the lock held, with itself, and with as many arguments as is said; what is lent lives as long as
    // the call, and what is released is ours.
    unsafe {
        let [call, rest, meet, ..] = method::parts(me);
        let plainly = || method::call(call, arguments, with_flag, keywords);
        if count(with_flag) != 3 || !keywords.is_null() {
            return plainly();
        }
        let (middleware, environ, start) = (*arguments, *arguments.add(1), *arguments.add(2));
        if ffi::PyDict_CheckExact(environ) == 0 {
            return plainly();
        }
        let header = names::slug_header(Python::assume_attached()).as_ptr();
        let slug = calling::item(environ, header);
        if !slug.is_null() {
            if !is_ordinary(slug) {
                return plainly();
            }
            // Lent by the environ, which is the app's, too.
            let slug = ffi::Py_NewRef(slug);
            let answer = traced(me, arguments, slug);
            calling::release(slug);
            return answer;
        }
        if !ffi::PyErr_Occurred().is_null() {
            return null_mut();
        }
        let (rests, records) = due::now();
        if due::TRAFFIC.is_ever() {
            // A signal's handler may have raised where the last one was about to be left.
            current::set_route(None);
        }
        for (is_due, look) in [(rests, rest), (records, meet)] {
            if is_due {
                let looked = calling::call_plainly(look);
                if looked.is_null() {
                    return null_mut();
                }
                calling::release(looked);
            }
        }
        let app = calling::attribute(middleware, names::app(Python::assume_attached()).as_ptr());
        if app.is_null() {
            return null_mut();
        }
        // The place before the first one is for whoever is called: a bound method puts its object there.
        let mut handed = [null_mut(), environ, start];
        let answer = method::call(app, (&raw mut handed[1]).cast_const(), 2 | FLAG, null_mut());
        calling::release(app);
        answer
    }
}

/// `PY_VECTORCALL_ARGUMENTS_OFFSET`
const FLAG: usize = 1 << (usize::BITS - 1);

/// Whether a request with the header may be one that is opened here.
///
/// # Safety
/// The lock must be held.
unsafe fn is_ordinary(slug: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's promise.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: it is an object, or the only one of its kind.
    let is_none = unsafe { slug == ffi::Py_None() };
    // The frame that calls names the work that is entered; where there is none, Python's function has one.
    let has_frame = !entered::greenlets() || frames::innermost(py).is_some();
    let is_within = current::value(py).is_some_and(|held| held.is_exact_instance_of::<TokenObject>());
    !is_none && has_frame && !is_within
}

/// What became of a request with the header. Nothing in it drops.
enum Asked {
    Opened {
        unit: UnitId,
        first: bool,
    },
    /// `(reason, count)`, or the exception that was raised, ours; null where raising that failed.
    Refused {
        why: *mut ffi::PyObject,
    },
}

/// A request that carries the header.
///
/// # Safety
/// As [`calling::call`] has it; there are three arguments.
unsafe fn traced(
    me: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    slug: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let [call, _, _, informs, opened, refused] = method::parts(me);
        let (middleware, environ, start) = (*arguments, *arguments.add(1), *arguments.add(2));
        let name = names::answering(Python::assume_attached()).as_ptr();
        let answering = calling::attribute(middleware, name);
        if answering.is_null() {
            return null_mut();
        }
        if !is_settled(answering) {
            calling::release(answering);
            return method::call(call, arguments, 3, null_mut());
        }
        let app = calling::attribute(middleware, names::app(Python::assume_attached()).as_ptr());
        if app.is_null() {
            calling::release(answering);
            return null_mut();
        }
        let asked = guarded(|py| {
            let opened =
                opening::open_request(Bound::ref_from_ptr(py, &slug), Bound::ref_from_ptr(py, &environ))?;
            Ok(match opened {
                Opened::Unit((unit, first)) => Asked::Opened { unit, first },
                Opened::Refused(reason) => Asked::Refused { why: reason.into_pyobject(py)?.into_ptr() },
            })
        });
        let answered = match asked.unwrap_or_else(|| Asked::Refused { why: calling::take_error() }) {
            // An error that was set is there, or another one is in its place.
            Asked::Refused { why } if why.is_null() => null_mut(),
            Asked::Refused { why } => {
                let handed = [middleware, environ, start, why];
                let answer = method::call(refused, handed.as_ptr(), handed.len(), null_mut());
                calling::release(why);
                answer
            }
            Asked::Opened { unit, first } => {
                if say(informs, opened, slug, environ, first) {
                    answer(answering, unit, app, environ, start)
                } else {
                    end(answering, unit);
                    null_mut()
                }
            }
        };
        calling::release(app);
        calling::release(answering);
        answered
    }
}

/// Whether requests of a middleware may be opened here.
///
/// # Safety
/// The lock must be held.
unsafe fn is_settled(answering: *mut ffi::PyObject) -> bool {
    let settled = guarded(|py| {
        // SAFETY: the caller has a reference.
        let answering: &Bound<'_, PyAny> = unsafe { Bound::ref_from_ptr(py, &answering) };
        Ok(answering.cast_exact::<Answering>().is_ok_and(|answering| answering.get().is_settled()))
    });
    settled == Some(true)
}

/// Says that a request is traced, if anybody wants to know; false with an error set where that was interrupted.
///
/// # Safety
/// As [`calling::call`] has it.
unsafe fn say(
    informs: *mut ffi::PyObject,
    opened: *mut ffi::PyObject,
    slug: *mut ffi::PyObject,
    environ: *mut ffi::PyObject,
    first: bool,
) -> bool {
    // SAFETY: the caller's promise; what is released is ours, and numbers and truth values live for ever.
    unsafe {
        let level = ffi::PyLong_FromLong(INFO.into());
        let arguments = [level];
        let wanted = method::call(informs, arguments.as_ptr(), 1, null_mut());
        calling::release(level);
        if wanted.is_null() {
            return false;
        }
        let is_wanted = wanted != ffi::Py_False();
        calling::release(wanted);
        if !is_wanted && !first {
            return true;
        }
        let first = if first { ffi::Py_True() } else { ffi::Py_False() };
        let arguments = [slug, environ, first];
        let said = method::call(opened, arguments.as_ptr(), arguments.len(), null_mut());
        calling::release(said);
        !said.is_null()
    }
}

/// Answers a request as work of its unit.
///
/// # Safety
/// As [`calling::call`] has it.
unsafe fn answer(
    answering: *mut ffi::PyObject,
    unit: UnitId,
    app: *mut ffi::PyObject,
    environ: *mut ffi::PyObject,
    start: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let call = guarded(|py| {
        // SAFETY: the caller has references.
        let [app, environ, start]: [&Bound<'_, PyAny>; 3] = unsafe {
            [
                Bound::ref_from_ptr(py, &app),
                Bound::ref_from_ptr(py, &environ),
                Bound::ref_from_ptr(py, &start),
            ]
        };
        let answering: &Answering = calling::receiver(py, &answering);
        answering.call(unit, app, environ, start)
    });
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(call) = call {
            return request::answered(answering, call);
        }
        end(answering, unit);
        null_mut()
    }
}

/// Ends a unit whose request could not be answered; the error that is set stays.
///
/// # Safety
/// As [`calling::call`] has it; it is an [`Answering`].
unsafe fn end(answering: *mut ffi::PyObject, unit: UnitId) {
    // SAFETY: the caller's promise.
    unsafe {
        let error = calling::take_error();
        let tell = guarded(|py| {
            let answering: &Answering = calling::receiver(py, &answering);
            Ok(answering.tell())
        });
        if let Some(tell) = tell {
            let told = ending::end(unit, tell);
            if told.is_null() {
                ffi::PyErr_Clear();
            }
            calling::release(told);
        }
        calling::restore_error(error);
    }
}
