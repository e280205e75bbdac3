//! Which work the running code is within, whatever its context says.
//!
//! A thread works for one token at a time, until it switches between greenlets: each of these has frames of its own. There, the frame that
//! entered the work says whose stack it is on.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use playtrace_tracer::Token;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::frames::{innermost, lookup};

/// Whether this process has greenlets.
static GREENLETS: AtomicBool = AtomicBool::new(false);
/// `PyFrame_GetBack`, which is not in the stable ABI.
static BACK: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

thread_local! {
    /// The token that this thread entered and has not left, as a number; 0 is none.
    static ENTERED: Cell<u64> = const { Cell::new(0) };
    /// The same by the address of the frame that entered it, which runs, or waits with its greenlet, until it leaves.
    static BY_FRAME: RefCell<Vec<(usize, u64)>> = const { RefCell::new(Vec::new()) };
}

/// From now on, a thread may switch from one stack of frames to another.
pub(crate) fn expect_greenlets() {
    BACK.store(lookup(c"PyFrame_GetBack"), Ordering::Relaxed);
    GREENLETS.store(true, Ordering::Relaxed);
}

/// Whether they may.
pub(crate) fn greenlets() -> bool {
    GREENLETS.load(Ordering::Relaxed)
}

/// The token that the calling frame entered; for [`set`] when it leaves the next one.
pub(crate) fn here(py: Python<'_>) -> Option<Token> {
    token(if greenlets() { of(frame(py)) } else { ENTERED.get() })
}

/// The calling frame enters a token, or goes back to what was there before.
pub(crate) fn set(py: Python<'_>, token: Option<Token>) {
    let raw = token.map_or(0, Token::raw);
    if !greenlets() {
        return ENTERED.set(raw);
    }
    let frame = frame(py);
    // The thread may be at its end.
    let _ = BY_FRAME.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        entered.retain(|(other, _)| *other != frame);
        if raw != 0 {
            entered.push((frame, raw));
        }
    });
}

/// The token that the running code is within. Runs no Python code.
pub(crate) fn running(py: Python<'_>) -> Option<Token> {
    if !greenlets() {
        return token(ENTERED.get());
    }
    if BY_FRAME.try_with(|entered| entered.borrow().is_empty()).unwrap_or(true) {
        return None;
    }
    let back = BACK.load(Ordering::Relaxed);
    if back.is_null() {
        return None;
    }
    // SAFETY: it is `PyFrame_GetBack`, which takes and gives a frame.
    let back: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject =
        unsafe { std::mem::transmute(back) };
    let mut next = innermost(py);
    while let Some(frame) = next {
        let raw = of(frame.as_ptr() as usize);
        if raw != 0 {
            return token(raw);
        }
        // SAFETY: the lock is held, and it is a frame; what is handed out is ours.
        next = unsafe { Bound::from_owned_ptr_or_opt(py, back(frame.as_ptr())) };
    }
    None
}

fn token(raw: u64) -> Option<Token> {
    Some(raw).filter(|raw| *raw != 0).map(Token::from_raw)
}

/// What a frame entered; 0 is nothing.
fn of(frame: usize) -> u64 {
    let found = BY_FRAME.try_with(|entered| {
        entered.borrow().iter().find(|(other, _)| *other == frame).map_or(0, |(_, raw)| *raw)
    });
    found.unwrap_or(0)
}

/// The innermost frame; 0 where there is none.
fn frame(py: Python<'_>) -> usize {
    innermost(py).map_or(0, |frame| frame.as_ptr() as usize)
}
