//! The shortest way: fresh lines that follow one another in one code object, under one token.
//!
//! What it takes to record such a line lies in a dozen places of the state, each found through another one. While nobody is at the state,
//! none of them moves: so their addresses are kept from one line to the next, and forgotten whenever anybody comes to the state, by
//! [`StateCell::with`](crate::state::StateCell), or anything else happens that would make them wrong. There is no other
//! way to the state, so that there is no list of things to compare. Only what the interpreter changes by itself is asked each time: which
//! code object runs, and what the variable holds.

use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use playtrace_ledger::unflushed::with_line;
use playtrace_tracer::Stretch;
use pyo3::Python;

use crate::asked;
use crate::current::{self, Held};
use crate::unflushed::End;

/// The code object of the stretch; 0 is none, and then nothing of [`KEPT`] is looked at.
static CODE: AtomicUsize = AtomicUsize::new(0);

/// Where its lines go.
static KEPT: Kept = Kept(UnsafeCell::new(Places {
    held: 0,
    first_line: 0,
    bit: 0,
    seen: Span::EMPTY,
    drained: Span::EMPTY,
    fresh: Span::EMPTY,
    record: 0,
    end: null_mut(),
}));

struct Kept(UnsafeCell<Places>);

// SAFETY: it is reached with the interpreter's lock held only (this crate does not declare support for free-threaded builds), by
// functions that don't call each other.
unsafe impl Sync for Kept {}

/// Where the lines of a stretch go. Addresses within the state.
#[derive(Clone, Copy)]
struct Places {
    /// What the variable held, as an address.
    held: usize,
    first_line: u32,
    bit: u64,
    seen: Span<u64>,
    drained: Span<u8>,
    fresh: Span<u64>,
    /// The record of line 0 in the memory map.
    record: u64,
    end: *const End,
}

/// A slice that may be gone.
#[derive(Clone, Copy)]
struct Span<T> {
    begin: *mut T,
    length: usize,
}

impl<T> Span<T> {
    const EMPTY: Self = Self { begin: null_mut(), length: 0 };

    fn of(slice: &mut [T]) -> Self {
        Self { begin: slice.as_mut_ptr(), length: slice.len() }
    }

    /// The address of an element.
    #[inline(always)]
    #[allow(clippy::inline_always)] // for each line
    fn at(self, index: usize) -> Option<*mut T> {
        // Within the slice, so within what was allocated for it.
        (index < self.length).then(|| self.begin.wrapping_add(index))
    }
}

/// Begins a stretch: the next lines of `code` go where these lines go, as long as the variable holds what it held.
///
/// # Safety
/// All of it must be part of the state, and nobody have been at the state since it was borrowed from there.
pub(crate) unsafe fn begin(
    _attached: Python<'_>,
    code: usize,
    held: Held,
    stretch: Stretch<'_>,
    note: (u64, &End),
) {
    let Stretch { first_line, bit, seen, drained, fresh } = stretch;
    let places = Places {
        held: held.address(),
        first_line,
        bit,
        seen: Span::of(seen),
        // Only read.
        drained: Span { begin: drained.as_ptr().cast_mut(), length: drained.len() },
        fresh: Span::of(fresh),
        record: note.0,
        end: note.1,
    };
    // SAFETY: the lock is held.
    unsafe { *KEPT.0.get() = places };
    CODE.store(code, Ordering::Relaxed);
}

/// Somebody comes to the state, or an address may come to mean something else.
#[inline]
pub(crate) fn end() {
    CODE.store(0, Ordering::Relaxed);
}

/// Records a line if it is a fresh one of the stretch; says whether it was. Can't panic.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line; it is called in one place
pub(crate) fn line(_attached: Python<'_>, code: usize, line: u32) -> bool {
    if CODE.load(Ordering::Relaxed) != code {
        return false;
    }
    record(line).is_some()
}

#[inline(always)]
#[allow(clippy::inline_always)] // likewise
fn record(line: u32) -> Option<()> {
    // SAFETY: the lock is held (there is a `Python`, one step up), and nobody writes to it meanwhile.
    let places = unsafe { &*KEPT.0.get() };
    let seen = places.seen.at(line.wrapping_sub(places.first_line) as usize)?;
    // SAFETY: since the stretch began, nobody was at the state, which these addresses are of: whatever they lead to is as it was, and
    // nobody has a reference to it. The variable lives for ever.
    unsafe {
        if *seen & places.bit != 0 || asked::address(current::variable()) != Some(places.held) {
            return None;
        }
        if places
            .drained
            .at((line / u8::BITS) as usize)
            .is_some_and(|byte| *byte >> (line % u8::BITS) & 1 != 0)
        {
            return None;
        }
        let word = places.fresh.at((line / u64::BITS) as usize)?;
        let bit = 1 << (line % u64::BITS);
        if *word & bit != 0 {
            return None;
        }
        (*places.end).push_word(with_line(places.record, line)?)?;
        *word |= bit;
        *seen |= places.bit;
    }
    Some(())
}
