//! The shortest way: fresh lines that follow one another in one code object, under one token.
//!
//! What it takes to record such a line lies in a dozen places of the state, each found through another one. While nobody is at the state,
//! none of them moves: so their addresses are kept from one line to the next, and forgotten whenever anybody comes to the state, by
//! [`StateCell::with`](crate::state::StateCell), or anything else happens that would make them wrong. There is no other
//! way to the state, so that there is no list of things to compare. Only what the interpreter changes by itself is asked each time: which
//! code object runs, and what the variable holds.
//!
//! A function's lines lie between two of whoever calls it. So the code object before is kept as well, where coming to the state for the new one
//! changed nothing of it: back there, all else is the same.

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
/// The one before it, while there is a stretch; 0 is none.
static BEFORE: AtomicUsize = AtomicUsize::new(0);

/// Where its lines go.
static KEPT: Kept = Kept(UnsafeCell::new(Places {
    held: 0,
    bit: 0,
    masks: Masks::NONE,
    before: Masks::NONE,
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
    bit: u64,
    /// Of the code object, and of the one before.
    masks: Masks,
    before: Masks,
    drained: Span<u8>,
    fresh: Span<u64>,
    /// The record of line 0 in the memory map.
    record: u64,
    end: *const End,
}

/// Who has which line of a code object.
#[derive(Clone, Copy)]
struct Masks {
    first_line: u32,
    seen: Span<u64>,
}

impl Masks {
    const NONE: Self = Self { first_line: 0, seen: Span::EMPTY };
}

/// The stretch that there was before somebody came to the state.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    /// 0 where there was none.
    code: usize,
    masks: Masks,
    /// What tells whose its lines are, and of which file.
    of: (usize, u64, u64),
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

/// The stretch that there is, for who comes to the state next and begins another one.
#[inline]
pub(crate) fn leave(_attached: Python<'_>) -> Left {
    // SAFETY: as in `record`.
    let places = unsafe { &*KEPT.0.get() };
    Left { code: CODE.load(Ordering::Relaxed), masks: places.masks, of: places.of() }
}

/// Begins a stretch: the next lines of `code` go where these lines go, as long as the variable holds what it held.
///
/// # Safety
/// All of it must be part of the state, and nobody have been at the state since it was borrowed from there. `left` must be from right
/// before that, and nothing of the state have moved since but what belongs to `code` alone, or to all lines.
pub(crate) unsafe fn begin(
    _attached: Python<'_>,
    code: usize,
    held: Held,
    stretch: Stretch<'_>,
    note: (u64, &End),
    left: Left,
) {
    let Stretch { first_line, bit, seen, drained, fresh } = stretch;
    let places = Places {
        held: held.address(),
        bit,
        masks: Masks { first_line, seen: Span::of(seen) },
        before: left.masks,
        // Only read.
        drained: Span { begin: drained.as_ptr().cast_mut(), length: drained.len() },
        fresh: Span::of(fresh),
        record: note.0,
        end: note.1,
    };
    let is_alike = left.code != code && left.of == places.of();
    // SAFETY: the lock is held.
    unsafe { *KEPT.0.get() = places };
    CODE.store(code, Ordering::Relaxed);
    BEFORE.store(if is_alike { left.code } else { 0 }, Ordering::Relaxed);
}

impl Places {
    /// Whose the lines are, and of which file: it is the same map's record of line 0.
    fn of(&self) -> (usize, u64, u64) {
        (self.held, self.bit, self.record)
    }
}

/// Goes back to the code object before; says whether this is it.
#[inline(never)]
fn go_back(code: usize) -> bool {
    let now = CODE.load(Ordering::Relaxed);
    if now == 0 || BEFORE.load(Ordering::Relaxed) != code {
        return false;
    }
    // SAFETY: as in `record`; nobody else writes to it meanwhile.
    let places = unsafe { &mut *KEPT.0.get() };
    std::mem::swap(&mut places.masks, &mut places.before);
    CODE.store(code, Ordering::Relaxed);
    BEFORE.store(now, Ordering::Relaxed);
    true
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
    if CODE.load(Ordering::Relaxed) != code && !go_back(code) {
        return false;
    }
    record(line).is_some()
}

#[inline(always)]
#[allow(clippy::inline_always)] // likewise
fn record(line: u32) -> Option<()> {
    // SAFETY: the lock is held (there is a `Python`, one step up), and nobody writes to it meanwhile.
    let places = unsafe { &*KEPT.0.get() };
    let seen = places.masks.seen.at(line.wrapping_sub(places.masks.first_line) as usize)?;
    // SAFETY: since the stretch began, nobody was at the state, which these addresses are of: whatever they lead to is as it was, and
    // nobody has a reference to it. Who began it left the masks of the code object before alone. The variable lives for ever.
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
