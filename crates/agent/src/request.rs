//! A traced request, by PEP 3333: answered by the app as work of its unit.
//!
//! Natively, because each frame of Python's would take about as long as what is done in it. What runs the app's code lets the
//! end of a daemon thread pass: see [`calling`].

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use crate::agent::UnitId;
use crate::calling::{self, guarded};
use crate::opening::said;
use crate::{ending, names};

/// What the server's `start_response` takes, by these names, too.
const NAMES: [&str; 3] = ["status", "headers", "exc_info"];

/// The header of an answer that is traced.
const STATUS: (&str, &str) = ("X-Profile-Trace-Status", "on");

/// Adds what is for requests to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Answering>();
    let doc = c"answer(unit, app, environ, start_response, /)\n--\n\nCalls the app as work of a unit, which ends with the body.";
    calling::give(&class, c"answer", answer, ffi::METH_VARARGS, doc)?;
    module.add_class::<Answering>()
}

/// How traced requests are answered.
#[pyclass(frozen, module = "playtrace_agent._native")]
pub(crate) struct Answering {
    /// `body.TracedBody`, and `body.SizedBody` for what has a length.
    body: Py<PyType>,
    sized: Py<PyType>,
    /// `file(body, unit)`: what stands for the server's own wrapper of a file; `None` where the wrapper itself does.
    file: Py<PyAny>,
    /// Is told what was written at the end, or why it was not.
    tell: Py<PyAny>,
    /// The `start_response` that apps are given.
    start: Definition,
    /// The header that it adds.
    status: Py<PyTuple>,
    /// See [`Answering::is_settled`].
    settled: AtomicBool,
}

#[pymethods]
impl Answering {
    /// Says what bodies are wrapped in, and who is told of their units' ends.
    #[new]
    fn new(
        py: Python<'_>,
        body: Py<PyType>,
        sized: Py<PyType>,
        file: Py<PyAny>,
        tell: Py<PyAny>,
    ) -> PyResult<Self> {
        let doc = c"start_response(status, headers, exc_info=None)\n--\n\nThe server's own, which is told that the answer is traced.";
        let flags = ffi::METH_VARARGS | ffi::METH_KEYWORDS;
        let start = Definition(calling::definition(c"start_response", begin, flags, doc));
        let status = STATUS.into_pyobject(py)?.unbind();
        Ok(Self { body, sized, file, tell, start, status, settled: AtomicBool::new(false) })
    }

    /// Says that requests may be opened natively from now on.
    fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }
}

/// A call of an app. Nothing in it drops.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    unit: UnitId,
    /// Lent by the caller.
    app: *mut ffi::PyObject,
    /// A tuple of ours.
    arguments: *mut ffi::PyObject,
    /// The server's own class for files, ours; or null.
    wrapper: *mut ffi::PyObject,
    /// Lent by the object.
    tell: *mut ffi::PyObject,
}

/// What is to be made of an answer. Nothing in it drops.
#[derive(Clone, Copy)]
enum Body {
    /// A list, a tuple, bytes: it is there already.
    Plain,
    /// Something that calls this with the answer and its unit; and whom to tell of its end, unless this is null.
    Made { by: *mut ffi::PyObject, tell: *mut ffi::PyObject },
}

/// `answering.answer(unit, app, environ, start_response)`
unsafe extern "C-unwind" fn answer(
    me: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(call) = guarded(|py| of(py, &me).call_of(py, args)) else { return null_mut() };
    // SAFETY: a method is called with the lock held, and its object lives as long as the call.
    unsafe { answered(me, call) }
}

/// Calls an app as work of a unit, which ends with what is answered.
///
/// # Safety
/// As [`calling::call`] has it; `me` is an [`Answering`], and what the call holds is given.
pub(crate) unsafe fn answered(me: *mut ffi::PyObject, call: Call) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; what is released is ours.
    unsafe {
        let answer = calling::within(call.unit, || calling::call(call.app, call.arguments, null_mut()));
        calling::release(call.arguments);
        let traced = if answer.is_null() { answer } else { traced(me, call, answer) };
        calling::release(call.wrapper);
        traced_or_ended(call, answer, traced)
    }
}

/// What the server is given: `traced`, which ends the unit later; or the app's own answer, whose unit is over. Null with an error set
/// where either went wrong.
///
/// # Safety
/// As [`calling::call`] has it; the references are given.
unsafe fn traced_or_ended(
    call: Call,
    answer: *mut ffi::PyObject,
    traced: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        if traced.is_null() {
            // What the app raised is what counts.
            let error = calling::take_error();
            let told = ending::end(call.unit, call.tell);
            if told.is_null() {
                ffi::PyErr_Clear();
            }
            calling::release(told);
            calling::release(answer);
            calling::restore_error(error);
            return null_mut();
        }
        if traced != ffi::Py_None() {
            calling::release(answer);
            return traced;
        }
        calling::release(traced);
        let told = ending::end(call.unit, call.tell);
        if told.is_null() {
            calling::release(answer);
            return null_mut();
        }
        calling::release(told);
        answer
    }
}

/// What stands for an answer; `None` where nothing of the app runs any more. Null with an error set where that failed.
///
/// # Safety
/// As [`calling::call`] has it; the answer stays the caller's.
unsafe fn traced(me: *mut ffi::PyObject, call: Call, answer: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let Some(body) = guarded(|py| {
        // SAFETY: the lock is held, and the caller has a reference.
        Ok(of(py, &me).body_for(py, unsafe { Bound::ref_from_ptr(py, &answer) }, call))
    }) else {
        return null_mut();
    };
    let Body::Made { by, tell } = body else {
        // SAFETY: the caller's promise.
        return unsafe { calling::none() };
    };
    let arguments = guarded(|py| {
        // SAFETY: the lock is held, and the callers have references.
        let (answer, tell) =
            unsafe { (Bound::from_borrowed_ptr(py, answer), Bound::from_borrowed_ptr_or_opt(py, tell)) };
        Ok(match tell {
            Some(tell) => (answer, call.unit, tell).into_pyobject(py)?.into_ptr(),
            None => (answer, call.unit).into_pyobject(py)?.into_ptr(),
        })
    });
    let Some(arguments) = arguments else { return null_mut() };
    // SAFETY: the caller's promise; the tuple is ours.
    unsafe {
        let made = calling::call(by, arguments, null_mut());
        calling::release(arguments);
        made
    }
}

/// The object that a method was called on.
fn of<'a>(py: Python<'a>, object: &'a *mut ffi::PyObject) -> &'a Answering {
    calling::receiver(py, object)
}

impl Answering {
    /// What is to be called, by the method's arguments.
    fn call_of(&self, py: Python<'_>, args: *mut ffi::PyObject) -> PyResult<Call> {
        // SAFETY: the lock is held, and the caller lends a tuple for the length of the call: what it holds lives as long.
        let args: &Bound<'_, PyAny> = unsafe { Bound::ref_from_ptr(py, &args) };
        let (unit, app, environ, start): (UnitId, Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
            args.extract().map_err(|_| {
                PyTypeError::new_err("answer() takes a unit, an app, an environ and a function")
            })?;
        self.call(unit, &app, &environ, &start)
    }

    /// What is to be called. The app has to outlive it.
    pub(crate) fn call(
        &self,
        unit: UnitId,
        app: &Bound<'_, PyAny>,
        environ: &Bound<'_, PyAny>,
        start: &Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let py = environ.py();
        // Before the app is called: it may have one of its own, which is its code.
        let wrapper = said(environ, names::file_wrapper(py))?.map_or(null_mut(), Bound::into_ptr);
        let arguments = (environ, self.with_status(start)?).into_pyobject(py)?.into_ptr();
        Ok(Call { unit, app: app.as_ptr(), arguments, wrapper, tell: self.tell.as_ptr() })
    }

    /// Whom to tell of a unit's end; lives as long as this.
    pub(crate) fn tell(&self) -> *mut ffi::PyObject {
        self.tell.as_ptr()
    }

    /// Whether requests may be opened natively: an earlier one was let in, and nothing is asked any more that Python has to answer.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// A `start_response` that adds the trace status to the headers.
    fn with_status<'py>(&self, start: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let with = (start, &self.status).into_pyobject(start.py())?;
        // SAFETY: the definition lives for ever, and the function holds the tuple.
        unsafe {
            let function = ffi::PyCFunction_NewEx(self.start.0, with.as_ptr(), null_mut());
            Bound::from_owned_ptr_or_err(start.py(), function)
        }
    }

    /// What is to be made of an answer.
    fn body_for(&self, py: Python<'_>, answer: &Bound<'_, PyAny>, call: Call) -> Body {
        let class = answer.get_type_ptr();
        // A class that is derived from one of these may make its pieces as it likes.
        let plain = [&raw mut ffi::PyList_Type, &raw mut ffi::PyTuple_Type, &raw mut ffi::PyBytes_Type];
        if plain.contains(&class) {
            return Body::Plain;
        }
        if class.cast() == call.wrapper {
            return Body::Made { by: self.file.as_ptr(), tell: null_mut() };
        }
        // SAFETY: the lock is held, and a type is asked for two of its slots.
        let has_length = unsafe {
            [ffi::Py_sq_length, ffi::Py_mp_length]
                .iter()
                .any(|slot| !ffi::PyType_GetSlot(class, *slot).is_null())
        };
        let by = if has_length { &self.sized } else { &self.body };
        Body::Made { by: by.bind(py).as_ptr(), tell: call.tell }
    }
}

/// A function's definition, which lives for ever and is never written to.
struct Definition(*mut ffi::PyMethodDef);

// SAFETY: see above.
unsafe impl Send for Definition {}
// SAFETY: see above.
unsafe impl Sync for Definition {}

/// `start_response(status, headers, exc_info=None)`, on a tuple: the server's, and the header that is added.
unsafe extern "C-unwind" fn begin(
    with: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some([status, headers, fault]) = guarded(|py| arguments(py, args, keywords)) else {
        return null_mut();
    };
    // SAFETY: a function is called with the lock held; what is lent lives as long as the call, what is released is ours.
    unsafe {
        // Any iterable of the app's. The server may keep the list, and the app its own.
        let list = calling::list(headers);
        if list.is_null() {
            return null_mut();
        }
        let arguments = guarded(|py| {
            let list = Bound::from_owned_ptr(py, list).cast_into_unchecked::<PyList>();
            list.append(Bound::from_borrowed_ptr(py, ffi::PyTuple_GetItem(with, 1)))?;
            let status = Bound::from_borrowed_ptr(py, status);
            // Servers and test clients need not know the third argument.
            Ok(match Bound::from_borrowed_ptr_or_opt(py, fault) {
                Some(fault) => (status, list, fault).into_pyobject(py)?.into_ptr(),
                None => (status, list).into_pyobject(py)?.into_ptr(),
            })
        });
        let Some(arguments) = arguments else { return null_mut() };
        let begun = calling::call(ffi::PyTuple_GetItem(with, 0), arguments, null_mut());
        calling::release(arguments);
        begun
    }
}

/// Status, headers and, if there is one, the fault that the app's answer is about: lent, like the arguments.
fn arguments(
    py: Python<'_>,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> PyResult<[*mut ffi::PyObject; 3]> {
    // SAFETY: the lock is held; the caller lends a tuple, and a dictionary or nothing, and keeps both.
    let (args, keywords) = unsafe {
        let keywords = Bound::from_borrowed_ptr_or_opt(py, keywords);
        (Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>(), keywords)
    };
    let mut surplus = keywords.as_ref().map_or(Ok(0), PyAnyMethods::len)?;
    let mut found = [null_mut(); 3];
    for (index, place) in found.iter_mut().enumerate() {
        if index < args.len() {
            *place = args.get_borrowed_item(index)?.as_ptr();
        } else if let Some(keywords) = &keywords {
            let named = keywords.cast::<PyDict>()?.get_item(NAMES[index])?;
            surplus -= usize::from(named.is_some());
            *place = named.map_or(null_mut(), |named| named.as_ptr());
        }
    }
    let [status, headers, fault] = found;
    if surplus > 0 || args.len() > NAMES.len() || status.is_null() || headers.is_null() {
        let wants = "start_response() takes a status, headers and, if need be, exc_info";
        return Err(PyTypeError::new_err(wants));
    }
    Ok([status, headers, if fault == py.None().as_ptr() { null_mut() } else { fault }])
}
