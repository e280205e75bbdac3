//! The one global: the agent's state, guarded by the interpreter's lock.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::{Py, Python};

/// A value that is only reached with the interpreter's lock held.
///
/// No lock of its own: a lock held by another thread while the process forks would stay locked in the child for
/// ever. The flag only catches a caller that comes back to it from within [`AttachedCell::with`].
pub(crate) struct AttachedCell<T> {
    value: UnsafeCell<T>,
    borrowed: AtomicBool,
}

// SAFETY: the value is reached only through `with`, which asks for proof that the interpreter's lock is held (this
// crate does not declare support for free-threaded builds), and which hands it out once at a time.
unsafe impl<T> Sync for AttachedCell<T> {}

impl<T> AttachedCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), borrowed: AtomicBool::new(false) }
    }

    /// Runs `f` on the value; `None` if a caller further up is at it already.
    ///
    /// `f` must not call into Python: Python code could run, let another thread have the interpreter's lock, and that
    /// thread's events would find the cell taken.
    #[inline]
    pub(crate) fn with<R>(&self, _attached: Python<'_>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        // In two steps: with the interpreter's lock held, nobody comes in between, and this is done for each line.
        if self.borrowed.load(Ordering::Relaxed) {
            return None;
        }
        self.borrowed.store(true, Ordering::Relaxed);
        let _release = Release(&self.borrowed);
        // SAFETY: the interpreter's lock is held, and the flag says that nobody else has a reference.
        let value = unsafe { &mut *self.value.get() };
        Some(f(value))
    }
}

/// Gives references back now. Where the interpreter calls us by a raw function, PyO3 doesn't know that the lock is held, and puts off what is
/// dropped until its own next function is called: whoever counts references, or waits for the end of an object, can't wait for that.
pub(crate) fn give_back<T>(py: Python<'_>, objects: impl IntoIterator<Item = Py<T>>) {
    for object in objects {
        drop(object.into_bound(py));
    }
}

/// Gives the cell back, also when `f` panics.
struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
