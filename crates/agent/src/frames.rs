//! The frames that run, in all threads.
//!
//! By the interpreter's own C functions, looked up by name when the agent is loaded: they are public, but not all of them are in the stable
//! ABI. `sys._current_frames()` and `frame.f_code` raise audit events: a hook of the app would be called in the middle of its
//! own code, may hold a lock there, and lets other threads run while frames are being counted.

use std::ffi::{CStr, c_void};
use std::ops::ControlFlow;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::names;

type Thread = *mut c_void;
type Frame = *mut ffi::PyObject;

/// What it takes to find all running frames.
pub(crate) struct Frames {
    interpreter: unsafe extern "C" fn() -> *mut c_void,
    first_thread: unsafe extern "C" fn(*mut c_void) -> Thread,
    next_thread: unsafe extern "C" fn(Thread) -> Thread,
    frame_of: unsafe extern "C" fn(Thread) -> Frame,
    code_of: unsafe extern "C" fn(Frame) -> *mut ffi::PyObject,
    back_of: unsafe extern "C" fn(Frame) -> Frame,
    modules: Py<PyDict>,
}

/// A function of the interpreter's, as the type that it has.
macro_rules! function {
    ($name:expr) => {{
        let found = lookup($name);
        if found.is_null() {
            let name = $name.to_string_lossy();
            return Err(PyRuntimeError::new_err(format!("this Python has no function {name}")));
        }
        // SAFETY: the function has the type that CPython documents, of which the field is an equal one: all pointers.
        unsafe { std::mem::transmute(found) }
    }};
}

impl Frames {
    /// Finds the functions.
    #[allow(clippy::missing_transmute_annotations)] // the fields' types say it
    pub(crate) fn find(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            interpreter: function!(c"PyInterpreterState_Get"),
            first_thread: function!(c"PyInterpreterState_ThreadHead"),
            next_thread: function!(c"PyThreadState_Next"),
            frame_of: function!(c"PyThreadState_GetFrame"),
            code_of: function!(c"PyFrame_GetCode"),
            back_of: function!(c"PyFrame_GetBack"),
            modules: py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind(),
        })
    }

    /// Shows every frame of every thread, and its code object, until `look` breaks off. The interpreter's lock stays held, and no
    /// Python code runs in between but what `look` runs.
    pub(crate) fn each<'py>(
        &self,
        py: Python<'py>,
        mut look: impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> ControlFlow<()>,
    ) {
        // SAFETY: the lock is held, so no thread that has frames can end in between.
        let mut thread = unsafe { (self.first_thread)((self.interpreter)()) };
        while !thread.is_null() {
            // SAFETY: the thread is one of the interpreter's; the frame, if there is one, is ours.
            let innermost = unsafe { Bound::from_owned_ptr_or_opt(py, (self.frame_of)(thread)) };
            if self.outwards(innermost, &mut look).is_break() {
                return;
            }
            // SAFETY: as above.
            thread = unsafe { (self.next_thread)(thread) };
        }
    }

    /// The same for one frame, what called it, and so on.
    pub(crate) fn outwards<'py>(
        &self,
        innermost: Option<Bound<'py, PyAny>>,
        look: &mut impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut next = innermost;
        while let Some(frame) = next {
            // SAFETY: it is a frame, and the lock is held; what is handed out is ours.
            let (code, back) = unsafe {
                let code = Bound::from_owned_ptr_or_opt(frame.py(), (self.code_of)(frame.as_ptr()));
                (code, Bound::from_owned_ptr_or_opt(frame.py(), (self.back_of)(frame.as_ptr())))
            };
            if let Some(code) = code {
                look(&frame, &code)?;
            }
            next = back;
        }
        ControlFlow::Continue(())
    }

    /// Whether exactly one frame of a code object runs: the one that asks.
    ///
    /// Generators and coroutines that are suspended don't count: they are reported when they are resumed. Greenlets that are
    /// suspended go on without a word: where there may be any, it can't be told.
    pub(crate) fn runs_once(&self, py: Python<'_>, code: *mut ffi::PyObject) -> bool {
        if self.modules.bind(py).contains(names::greenlet(py)).unwrap_or(true) {
            return false;
        }
        let mut count = 0;
        self.each(py, |_, running| {
            count += usize::from(running.as_ptr() == code);
            if count > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        count == 1
    }
}

/// The interpreter's function of that name; null if it has none.
pub(crate) fn lookup(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a C string; the interpreter that calls us stays loaded.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// The innermost frame of the running thread.
///
/// Not by `sys._getframe`: `import` asks the app's `__import__`, which may be anything (and is looked up in the globals of the
/// code that happens to run), and `_getframe` raises an audit event.
pub(crate) fn innermost(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: the lock is held; the frame, if there is one, is lent and kept from here on.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) }
}
