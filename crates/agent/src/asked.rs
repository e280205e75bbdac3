//! What a `ContextVar` holds, without a call for it.
//!
//! `PyContextVar_Get` first looks into the variable itself: it keeps what it found last, the thread that asked, and the version of that
//! thread's context, which the interpreter counts up whenever the thread enters or leaves one (greenlets do, too). Looking there by
//! ourselves takes less than half of the call, and this is done for each line. The answer is the interpreter's own, or none, and then it is to be asked.
//!
//! Where these fields lie is no part of any API. It is known for CPython 3.12 and 3.13, looked for by their values when the agent is
//! loaded, and checked in a context that was made for that. Anywhere else the variable is asked.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::frames::lookup;

/// Of the variable, in bytes from its beginning: what it found last (a borrowed reference), for which thread, at which version of its context.
const FOUND: usize = 32;
const THREAD: usize = 40;
const VERSION: usize = 48;
/// Its length: its hash follows. Free-threaded builds have a shorter one.
const SIZE: usize = 64;

/// Of a thread's state, before its number: the version of its context, and the context.
const BEFORE_VERSION: usize = 8;
const BEFORE_CONTEXT: usize = 16;
/// Where the number may be.
const FIRST: usize = 64;
const LAST: usize = 272;

/// Where a thread's state has its number; 0 where that is not known.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Looks where the fields are, with a variable that nobody else knows yet.
pub(crate) fn prepare(py: Python<'_>, variable: &Bound<'_, PyAny>) -> PyResult<()> {
    let version = py.version_info();
    let known = matches!((version.major, version.minor), (3, 12 | 13));
    let sized: usize = variable.call_method0("__sizeof__")?.extract()?;
    if known && sized == SIZE {
        NUMBER.store(look(py, variable).unwrap_or(0), Ordering::Relaxed);
    }
    Ok(())
}

/// Where the number is, if all of it is as expected.
fn look(py: Python<'_>, variable: &Bound<'_, PyAny>) -> Option<usize> {
    type Copy = unsafe extern "C" fn() -> *mut ffi::PyObject;
    type Switch = unsafe extern "C" fn(*mut ffi::PyObject) -> c_int;
    type Set = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;
    let functions =
        [c"PyContext_CopyCurrent", c"PyContext_Enter", c"PyContext_Exit", c"PyContextVar_Set"].map(lookup);
    if functions.contains(&null_mut()) {
        return None;
    }
    let [copy, enter, exit, set] = functions;
    // SAFETY: these functions have these types, as CPython documents since 3.7.1. The lock is held; what they hand out is ours, and errors
    // are cleared. The context is nobody else's, and left again before anything else runs. Only versions come here whose
    // variables and threads' states have what is read: 64 and more than 280 bytes.
    unsafe {
        let copy: Copy = std::mem::transmute::<*mut c_void, Copy>(copy);
        let enter: Switch = std::mem::transmute::<*mut c_void, Switch>(enter);
        let exit: Switch = std::mem::transmute::<*mut c_void, Switch>(exit);
        let set: Set = std::mem::transmute::<*mut c_void, Set>(set);
        let context = Bound::from_owned_ptr_or_opt(py, copy());
        let entered = context.as_ref().filter(|context| enter(context.as_ptr()) == 0);
        let mut found = None;
        if let Some(context) = entered {
            let value = py.Ellipsis();
            let undo = Bound::from_owned_ptr_or_opt(py, set(variable.as_ptr(), value.as_ptr()));
            let (thread, number) =
                (state(), ffi::PyThreadState_GetID(ffi::PyThreadState_Get()).cast_unsigned());
            let is_set = undo.is_some()
                && word(variable.as_ptr().cast(), FOUND) == value.as_ptr() as u64
                && word(variable.as_ptr().cast(), THREAD) == number;
            let inside = word(variable.as_ptr().cast(), VERSION);
            let mut places = (FIRST..=LAST).step_by(8).filter(|at| {
                word(thread, *at) == number
                    && word(thread, at - BEFORE_VERSION) == inside
                    && word(thread, at - BEFORE_CONTEXT) == context.as_ptr() as u64
            });
            found = places.next().filter(|_| is_set && places.next().is_none());
            exit(context.as_ptr());
            // Out of it, what was found there must not be taken for what is held here.
            found = found.filter(|at| word(thread, at - BEFORE_VERSION) != inside);
        }
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
        }
        found
    }
}

/// The address of what a variable holds, if that is to be had without asking. Can't panic.
///
/// # Safety
/// The interpreter's lock must be held, and `variable` be a `ContextVar`.
#[inline]
pub(crate) unsafe fn address(variable: *mut ffi::PyObject) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let asking = asking()?;
        // An address.
        #[allow(clippy::cast_possible_truncation)]
        let found = word(variable.cast::<u64>().cast_const(), FOUND) as usize;
        (found != 0 && is(asking, variable, found)).then_some(found)
    }
}

/// The running thread, for questions of what variables hold.
#[derive(Clone, Copy)]
pub(crate) struct Asking {
    state: *const u64,
    number: usize,
}

/// The running thread; `None` where variables are not to be asked like this.
///
/// # Safety
/// The interpreter's lock must be held.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line
pub(crate) unsafe fn asking() -> Option<Asking> {
    let number = NUMBER.load(Ordering::Relaxed);
    // SAFETY: the caller's promise.
    (number != 0).then(|| Asking { state: unsafe { state() }, number })
}

/// Whether a variable holds the object at an address, which is not 0; `false` if that is not to be had without asking. Can't panic.
///
/// # Safety
/// As [`address`]; it must be that thread that asks.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line
pub(crate) unsafe fn is(asking: Asking, variable: *mut ffi::PyObject, held: usize) -> bool {
    let Asking { state: thread, number } = asking;
    // SAFETY: the caller's promise; the fields were found there. A thread that is being taken down has no context, and the version of its
    // last one.
    unsafe {
        let variable = variable.cast::<u64>().cast_const();
        word(variable, FOUND) == held as u64
            && word(variable, THREAD) == word(thread, number)
            && word(variable, VERSION) == word(thread, number - BEFORE_VERSION)
            && word(thread, number - BEFORE_CONTEXT) != 0
    }
}

/// The running thread's state.
///
/// # Safety
/// The interpreter's lock must be held.
#[inline]
unsafe fn state() -> *const u64 {
    // SAFETY: the caller's promise.
    unsafe { ffi::PyThreadState_Get().cast::<u64>().cast_const() }
}

/// A word of an object.
///
/// # Safety
/// It must be there, and aligned.
#[inline]
unsafe fn word(of: *const u64, at: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { of.byte_add(at).read() }
}
