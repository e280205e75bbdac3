//! Native functions that the interpreter calls without a detour.
//!
//! A built-in function is called through code that looks at keywords and counts recursion: a fifth of what a callback for a line takes. A type
//! that says where its instances have their C function (PEP 590) is called by that. Nothing of the interpreter's stands in
//! between then, so that a callback can't fail for want of recursion either.

use std::ffi::{c_int, c_uint};
use std::ptr::null;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::frames::lookup;

/// What is called: with itself, the arguments, how many there are (and a flag, see [`count`]), and no keywords.
pub(crate) type Function = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// An instance.
#[repr(C)]
struct Object {
    head: ffi::PyObject,
    function: Function,
}

/// `Py_TPFLAGS_HAVE_VECTORCALL`, which the stable ABI has from 3.12 on: `sys.monitoring` is no older.
const HAS_FUNCTION: c_uint = 1 << 11;

/// The type, and what makes instances of it.
pub(crate) struct Callables<'py>(Bound<'py, PyAny>);

impl<'py> Callables<'py> {
    /// Makes the type.
    pub(crate) fn new(py: Python<'py>) -> PyResult<Self> {
        let call = lookup(c"PyVectorcall_Call");
        // Everything that is asked for is documented from 3.12 on.
        let Some(call) = std::ptr::NonNull::new(call).filter(|_| py.version_info() >= (3, 12)) else {
            return Err(PyRuntimeError::new_err(
                "this Python has no PyVectorcall_Call: CPython 3.12 or newer is needed",
            ));
        };
        let mut members = [
            ffi::PyMemberDef {
                name: c"__vectorcalloffset__".as_ptr(),
                type_code: ffi::Py_T_PYSSIZET,
                offset: std::mem::offset_of!(Object, function).cast_signed(),
                flags: ffi::Py_READONLY,
                doc: null(),
            },
            ffi::PyMemberDef::default(),
        ];
        let mut slots = [
            ffi::PyType_Slot { slot: ffi::Py_tp_members, pfunc: members.as_mut_ptr().cast() },
            ffi::PyType_Slot { slot: ffi::Py_tp_call, pfunc: call.as_ptr() },
            ffi::PyType_Slot::default(),
        ];
        let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        let mut spec = ffi::PyType_Spec {
            name: c"playtrace_agent._native.Callback".as_ptr(),
            basicsize: c_int::try_from(size_of::<Object>())?,
            itemsize: 0,
            flags: c_uint::try_from(flags)? | HAS_FUNCTION,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the lock is held; members, slots and the specification are whole and end with an empty one, and the interpreter copies what
        // it needs of them. The offset is that of the function in instances of that size.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)).map(Self) }
    }

    /// A callable that is the function.
    pub(crate) fn of(&self, function: Function) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the lock is held, and the type is one; its instances are as long as an `Object`, of which the head is filled in.
        // Nobody else has the new one yet.
        unsafe {
            let object = ffi::PyType_GenericAlloc(self.0.as_ptr().cast(), 0);
            let object = Bound::from_owned_ptr_or_err(self.0.py(), object)?;
            (&raw mut (*object.as_ptr().cast::<Object>()).function).write(function);
            Ok(object)
        }
    }
}

/// How many arguments there are: the highest bit says that the place before the first one may be written to.
#[inline]
pub(crate) const fn count(with_flag: usize) -> usize {
    with_flag & (usize::MAX >> 1)
}
