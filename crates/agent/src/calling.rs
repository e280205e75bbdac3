//! Calls of the app's code that may wait, and may never come back.
//!
//! Where the interpreter ends while a daemon thread waits for its lock, CPython ends that thread where it stands: `pthread_exit` unwinds its stack,
//! without the lock, through our frames. Rust aborts the process when it catches such an unwinding, and destructors would
//! touch objects. So there must be nothing in these frames that catches or drops: what they hold is raw, and lost then.

use std::ffi::{CStr, c_int};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use playtrace_tracer::Token;
use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyString, PyType};

use crate::agent::UnitId;
use crate::state::token_of;
use crate::{current, entered};

/// As C sees a method: what it belongs to, its arguments, its keywords (null where there are none).
type Method = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// A function of CPython's that may run the app's code, said to unwind, as it does.
///
/// PyO3 declares them as ones that do not. The compiler must not find out which function is called, or it leaves the call out of the
/// table of those that unwinding may pass.
macro_rules! unwinding {
    ($function:ident($($argument:ident),*) -> $result:ty) => {{
        type Unwinding = unsafe extern "C-unwind" fn($(unwinding!(@ $argument)),*) -> $result;
        std::mem::transmute::<*const (), Unwinding>(black_box(ffi::$function as *const ()))($($argument),*)
    }};
    (@ $argument:ident) => { *mut ffi::PyObject };
}

/// `callable(*args, **kwargs)`; null with an error set where it raised. So are the others here.
///
/// # Safety
/// The interpreter's lock must be held, `args` be a tuple, `kwargs` a dictionary or null, and nothing in the caller's frame need
/// dropping. So it is for the others here.
#[inline]
pub(crate) unsafe fn call(
    callable: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyObject_Call(callable, args, kwargs) -> *mut ffi::PyObject) }
}

/// `iter(object)`.
pub(crate) unsafe fn iterate(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyObject_GetIter(object) -> *mut ffi::PyObject) }
}

/// `next(iterator)`; null without an error at the end.
pub(crate) unsafe fn next(iterator: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyIter_Next(iterator) -> *mut ffi::PyObject) }
}

/// `list(iterable)`.
pub(crate) unsafe fn list(iterable: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PySequence_List(iterable) -> *mut ffi::PyObject) }
}

/// `callable()`.
pub(crate) unsafe fn call_plainly(callable: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyObject_CallNoArgs(callable) -> *mut ffi::PyObject) }
}

/// `object.name`.
#[inline]
pub(crate) unsafe fn attribute(object: *mut ffi::PyObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyObject_GetAttr(object, name) -> *mut ffi::PyObject) }
}

/// `dictionary.get(key)`, lent; null without an error where it has none. (What is a key there may compare by the app's code.)
#[inline]
pub(crate) unsafe fn item(dictionary: *mut ffi::PyObject, key: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { unwinding!(PyDict_GetItemWithError(dictionary, key) -> *mut ffi::PyObject) }
}

/// `object.name()` where the object has that and it is not `None`.
pub(crate) unsafe fn call_method_if_any(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; the references are ours.
    unsafe {
        let method = unwinding!(PyObject_GetAttr(object, name) -> *mut ffi::PyObject);
        if method.is_null() {
            if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) == 0 {
                return null_mut();
            }
            ffi::PyErr_Clear();
            return none();
        }
        if method == ffi::Py_None() {
            return method;
        }
        let result = unwinding!(PyObject_CallNoArgs(method) -> *mut ffi::PyObject);
        release(method);
        result
    }
}

/// Gives a reference back, or null; an error that is set stays set, as every `tp_dealloc` has to see to.
pub(crate) unsafe fn release(object: *mut ffi::PyObject) {
    // SAFETY: the caller's promise; the reference was the caller's.
    unsafe { unwinding!(Py_DecRef(object) -> ()) }
}

/// Takes the error that is set, or null. It is given to [`restore_error`], or lost.
pub(crate) unsafe fn take_error() -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    if unsafe { ffi::PyErr_Occurred() }.is_null() {
        return null_mut();
    }
    let error = guarded(|py| Ok(PyErr::take(py).map(|error| error.into_value(py).into_ptr())));
    error.flatten().unwrap_or(null_mut())
}

/// Sets an error again.
pub(crate) unsafe fn restore_error(error: *mut ffi::PyObject) {
    if !error.is_null() {
        // SAFETY: the caller's promise; the reference was the caller's.
        guarded(|py| Err::<(), _>(PyErr::from_value(unsafe { Bound::from_owned_ptr(py, error) })));
    }
}

/// A new reference to `None`.
pub(crate) unsafe fn none() -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

/// A function or method that lets unwinding pass, as a method definition wants it; it lives for ever.
pub(crate) fn definition(
    name: &'static CStr,
    method: Method,
    flags: c_int,
    doc: &'static CStr,
) -> *mut ffi::PyMethodDef {
    let ml_meth = ffi::PyMethodDefPointer {
        // SAFETY: the same function; what calls it is C, which lets unwinding pass.
        PyCFunctionWithKeywords: unsafe {
            std::mem::transmute::<Method, ffi::PyCFunctionWithKeywords>(method)
        },
    };
    let definition =
        ffi::PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: flags, ml_doc: doc.as_ptr() };
    Box::leak(Box::new(definition))
}

/// What such a method was called on.
pub(crate) fn receiver<'a, T>(py: Python<'a>, object: &'a *mut ffi::PyObject) -> &'a T
where
    T: PyClass<Frozen = True> + Sync,
{
    // SAFETY: a method descriptor calls with an object of its class only, which lives as long as the call.
    let object: &Bound<'_, T> = unsafe { Bound::ref_from_ptr(py, object).cast_unchecked() };
    object.get()
}

/// Gives a class such a method.
pub(crate) fn give(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    method: Method,
    flags: c_int,
    doc: &'static CStr,
) -> PyResult<()> {
    let definition = definition(name, method, flags, doc);
    // SAFETY: the definition lives for ever, and the class is one.
    let method = unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(class.py(), descriptor)?
    };
    class.setattr(PyString::new(class.py(), &name.to_string_lossy()), method)
}

/// Runs what calls no code of the app. `None` with an error set where it failed.
pub(crate) fn guarded<R>(body: impl FnOnce(Python<'_>) -> PyResult<R>) -> Option<R> {
    // SAFETY: methods are called with the interpreter's lock held.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            error.restore(py);
            None
        }
        Err(_) => {
            PyErr::new::<pyo3::exceptions::PySystemError, _>("the agent failed").restore(py);
            None
        }
    }
}

/// What was there before work of a unit. Nothing in it drops; it is given to [`leave`], or lost.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    value: *mut ffi::PyObject,
    entered: Option<Token>,
}

/// Does `work` as work of a unit, and goes back to what there was before. Null with an error set where either failed.
///
/// `work` calls the app's code: that it can be copied says that nothing in it drops.
pub(crate) fn within(unit: UnitId, work: impl FnOnce() -> *mut ffi::PyObject + Copy) -> *mut ffi::PyObject {
    let Some(before) = guarded(|py| enter(py, unit)) else { return null_mut() };
    let result = work();
    guarded(|py| leave(py, before, result)).unwrap_or(null_mut())
}

fn enter(py: Python<'_>, unit: UnitId) -> PyResult<Before> {
    let (value, entered) = (current::value(py), entered::here(py));
    // Given back before the work: only what runs under the unit keeps its token.
    current::enter(py, token_of(py, unit).as_ref())?;
    Ok(Before { value: value.map_or(null_mut(), Bound::into_ptr), entered })
}

fn leave(py: Python<'_>, before: Before, result: *mut ffi::PyObject) -> PyResult<*mut ffi::PyObject> {
    // Going back calls into Python, which must not happen with an error set.
    let error = if result.is_null() { PyErr::take(py) } else { None };
    // SAFETY: the lock is held, and the references are ours.
    let value = unsafe { Bound::from_owned_ptr_or_opt(py, before.value) };
    let back = current::put(py, value.as_ref());
    entered::set(py, before.entered);
    if let Err(fault) = back {
        // SAFETY: the lock is held, and the result is ours, or null.
        unsafe { ffi::Py_XDECREF(result) };
        return Err(fault);
    }
    error.map_or(Ok(result), Err)
}

/// Adds such a function to a module.
pub(crate) fn add_function(
    module: &Bound<'_, PyModule>,
    name: &'static CStr,
    function: Method,
    flags: c_int,
    doc: &'static CStr,
) -> PyResult<()> {
    let definition = definition(name, function, flags, doc);
    // SAFETY: the definition lives for ever.
    let function = unsafe {
        Bound::from_owned_ptr_or_err(module.py(), ffi::PyCFunction_NewEx(definition, null_mut(), null_mut()))?
    };
    module.add(PyString::new(module.py(), &name.to_string_lossy()), function)
}

/// Adds `call_within` to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let doc = c"call_within(unit, work, /, *args, **kwargs)\n--\n\nCalls `work(*args, **kwargs)` as work of a unit, and goes back to what there was before.";
    add_function(module, c"call_within", call_within, ffi::METH_VARARGS | ffi::METH_KEYWORDS, doc)
}

/// Calls `work(*args, **kwargs)` as work of a unit, and goes back to what there was before.
///
/// Natively, in one step: no signal's handler can raise in between, and no frame of ours stands in a traceback.
unsafe extern "C-unwind" fn call_within(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some((unit, work, rest)) = guarded(|py| parts(py, args)) else { return null_mut() };
    // SAFETY: the interpreter calls methods with its lock held and lends the keywords; the rest are a tuple of ours.
    unsafe {
        let result = within(unit, || call(work, rest, kwargs));
        release(rest);
        result
    }
}

/// The unit, what to call, and a new tuple of what to call it with.
fn parts(
    py: Python<'_>,
    args: *mut ffi::PyObject,
) -> PyResult<(UnitId, *mut ffi::PyObject, *mut ffi::PyObject)> {
    // SAFETY: the lock is held, and the caller lent a tuple for the length of the call: what it holds lives as long. The slice is ours.
    unsafe {
        let size = ffi::PyTuple_Size(args);
        if size < 2 {
            return Err(PyTypeError::new_err("call_within() takes a unit and what to call"));
        }
        let unit = Bound::from_borrowed_ptr(py, ffi::PyTuple_GetItem(args, 0)).extract()?;
        let rest = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_GetSlice(args, 2, size))?;
        Ok((unit, ffi::PyTuple_GetItem(args, 1), rest.into_ptr()))
    }
}
