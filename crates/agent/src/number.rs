//! Line numbers, as the interpreter hands them over.

use std::ffi::c_long;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// Where CPython 3.12 and 3.13 have the tag of an `int`, in bytes from its beginning (`lv_tag`: how many digits, and the sign).
const TAG: usize = 16;
/// Where they have its digits, of 30 bits each.
const DIGITS: usize = 24;
/// The tag of a number above zero that has one digit.
const ONE_DIGIT: usize = 1 << 3;

/// Whether numbers were found to be laid out like that.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// Looks whether this interpreter's numbers are laid out as is known: reading one takes a fifth of what `PyLong_AsLong` takes then, once a
/// line.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    const LARGEST: i64 = (1 << 30) - 1;
    let one_digit = [1, 2, 255, 256, 257, 1009, 65_535, 123_456_789, LARGEST];
    let other = [0, -1, -257, LARGEST + 1, 1 << 60];
    let read = |value: i64| -> PyResult<Option<u32>> {
        let number = value.into_pyobject(py)?;
        // The smallest ones have less than what is looked at only where the layout is another one.
        let sized: usize = number.call_method0("__sizeof__")?.extract()?;
        // SAFETY: it is a number, and as long as what is read.
        Ok(if sized < DIGITS + size_of::<u32>() { None } else { unsafe { one_digit_of(number.as_ptr()) } })
    };
    let mut known = true;
    for value in one_digit {
        known &= read(value)?.map(i64::from) == Some(value);
    }
    for value in other {
        known &= read(value)?.is_none();
    }
    KNOWN.store(known, Ordering::Relaxed);
    Ok(())
}

/// The line that a number means. `None` for what can't be one, which leaves no error behind.
///
/// # Safety
/// `number` must be an object, and the interpreter's lock be held.
#[inline]
pub(crate) unsafe fn line(number: *mut ffi::PyObject) -> Option<u32> {
    // SAFETY: only numbers of the known layout are read directly; the rest is the caller's promise.
    unsafe {
        if KNOWN.load(Ordering::Relaxed)
            && ffi::PyLong_CheckExact(number) != 0
            && let Some(line) = one_digit_of(number)
        {
            return Some(line);
        }
        ask(number)
    }
}

#[cold]
#[inline(never)]
unsafe fn ask(number: *mut ffi::PyObject) -> Option<u32> {
    // SAFETY: the caller's promise. An error is cleared.
    unsafe {
        let value: c_long = ffi::PyLong_AsLong(number);
        if value == -1 {
            ffi::PyErr_Clear();
        }
        u32::try_from(value).ok()
    }
}

/// The value of a number above zero that has one digit.
///
/// # Safety
/// The number must be one of the known layout.
#[inline]
unsafe fn one_digit_of(number: *mut ffi::PyObject) -> Option<u32> {
    // SAFETY: the caller's promise; objects are aligned to words.
    unsafe {
        let tag = number.byte_add(TAG).cast::<usize>().read();
        (tag == ONE_DIGIT).then(|| number.byte_add(DIGITS).cast::<u32>().read())
    }
}
