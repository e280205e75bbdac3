//! Methods of Python's classes that are called natively: without a frame, and without a tuple of their arguments.
//!
//! Such an object stands in a class in the place of a function of Python's: it binds like one, has attributes like one, and is pickled by
//! its name like one. It lives for ever, as all that the agent changes does, and with it what it was made from. What it calls may be the
//! app's code: see [`calling`] for what its function must not hold.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::calling::{self, guarded};
use crate::frames::lookup;
use crate::names;

/// What is called: with itself, the arguments, how many there are (and a flag, see [`callable::count`](crate::callable::count)), and
/// their names, or null.
pub(crate) type Function = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// So many objects it may be made from.
const PARTS: usize = 6;

/// What it is made from.
pub(crate) type Parts = [*mut ffi::PyObject; PARTS];

/// An instance.
#[repr(C)]
struct Object {
    head: ffi::PyObject,
    function: Function,
    attributes: *mut ffi::PyObject,
    parts: Parts,
}

/// `Py_TPFLAGS_HAVE_VECTORCALL`, which the stable ABI has from 3.12 on.
const HAS_FUNCTION: c_uint = 1 << 11;

static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
/// `types.MethodType`; lives for ever.
static BOUND: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `PyObject_Vectorcall`, which the stable ABI has from 3.12 on.
static CALL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Makes one; `None` where the interpreter is too old for that (all that is asked for is documented from 3.12 on).
pub(crate) fn make<'py>(
    py: Python<'py>,
    function: Function,
    parts: &[&Bound<'py, PyAny>],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let calls = [c"PyVectorcall_Call", c"PyObject_Vectorcall"].map(lookup);
    if py.version_info() < (3, 12) || calls.contains(&null_mut()) {
        return Ok(None);
    }
    CALL.store(calls[1], Ordering::Relaxed);
    let class = CLASS.get_or_try_init(py, || class(py, calls[0]).map(Bound::unbind))?.bind(py);
    let mut all = [null_mut(); PARTS];
    for (place, part) in all.iter_mut().zip(parts) {
        *place = (*part).clone().into_ptr();
    }
    // SAFETY: the lock is held, and the type is one; its instances are as long as an `Object`, of which the head is filled in, and the
    // attributes are null. Nobody else has the new one yet. It keeps a reference to itself: it is never freed.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
        let object = Bound::from_owned_ptr_or_err(py, object)?;
        let made = object.clone().into_ptr().cast::<Object>();
        (&raw mut (*made).function).write(function);
        (&raw mut (*made).parts).write(all);
        Ok(Some(object))
    }
}

/// What one was made from; null after the last of them. They live for ever.
///
/// # Safety
/// It must be one.
#[inline]
pub(crate) unsafe fn parts(object: *mut ffi::PyObject) -> Parts {
    // SAFETY: the caller's promise.
    unsafe { (*object.cast::<Object>()).parts }
}

/// `callable(…)`; null with an error set where it raised.
///
/// # Safety
/// As [`calling::call`] has it; the arguments are as many as is said. Only where one was made.
#[inline]
pub(crate) unsafe fn call(
    callable: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the function has this type, as CPython documents, and unwinds where what it calls does. The rest is the caller's promise.
    unsafe {
        let call = std::mem::transmute::<*mut c_void, Function>(CALL.load(Ordering::Relaxed));
        call(callable, arguments, count, keywords)
    }
}

fn class(py: Python<'_>, call: *mut c_void) -> PyResult<Bound<'_, PyType>> {
    BOUND.store(py.import("types")?.getattr("MethodType")?.into_ptr(), Ordering::Relaxed);
    let offset = |name: &'static std::ffi::CStr, offset: usize| ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: offset.cast_signed(),
        flags: ffi::Py_READONLY,
        doc: null(),
    };
    let mut members = [
        offset(c"__vectorcalloffset__", std::mem::offset_of!(Object, function)),
        offset(c"__dictoffset__", std::mem::offset_of!(Object, attributes)),
        ffi::PyMemberDef::default(),
    ];
    let dict = ffi::PyGetSetDef {
        name: c"__dict__".as_ptr(),
        get: Some(ffi::PyObject_GenericGetDict),
        set: Some(ffi::PyObject_GenericSetDict),
        doc: null(),
        closure: null_mut(),
    };
    // Not copied, other than the members.
    let computed = Box::leak(Box::new([dict, ffi::PyGetSetDef::default()]));
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_members, pfunc: members.as_mut_ptr().cast() },
        ffi::PyType_Slot { slot: ffi::Py_tp_getset, pfunc: computed.as_mut_ptr().cast() },
        ffi::PyType_Slot { slot: ffi::Py_tp_call, pfunc: call },
        ffi::PyType_Slot { slot: ffi::Py_tp_descr_get, pfunc: bind as ffi::descrgetfunc as *mut c_void },
        ffi::PyType_Slot::default(),
    ];
    let flags =
        ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;
    let mut spec = ffi::PyType_Spec {
        name: c"playtrace_agent._native.Method".as_ptr(),
        basicsize: c_int::try_from(size_of::<Object>())?,
        itemsize: 0,
        flags: c_uint::try_from(flags)? | HAS_FUNCTION,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the lock is held; what the specification leads to is whole and ends with an empty one each. The interpreter copies the members,
    // and what it does not copy lives for ever. The offsets are those of a function and of an attributes' dictionary.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    let class = class.cast_into::<PyType>()?;
    calling::give(&class, c"__reduce__", reduce, ffi::METH_NOARGS, c"The name by which it is found.")?;
    Ok(class)
}

/// As a function of Python's is bound.
unsafe extern "C" fn bind(
    method: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    _class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a slot is called with the lock held, and with objects that live as long as the call. The type of bound methods is C, and
    // runs nobody's code.
    unsafe {
        if object.is_null() || object == ffi::Py_None() {
            return ffi::Py_NewRef(method);
        }
        let bound = BOUND.load(Ordering::Relaxed);
        ffi::PyObject_CallFunctionObjArgs(bound, method, object, null_mut::<ffi::PyObject>())
    }
}

/// `method.__reduce__()`: the name that it was given.
unsafe extern "C-unwind" fn reduce(
    method: *mut ffi::PyObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let name = guarded(|py| {
        // SAFETY: a method is called with the lock held, and its object lives as long as the call.
        let method: &Bound<'_, PyAny> = unsafe { Bound::ref_from_ptr(py, &method) };
        Ok(method.getattr(names::qualified_name(py))?.into_ptr())
    });
    name.unwrap_or(null_mut())
}
