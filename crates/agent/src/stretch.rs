//! The shortest way: fresh lines of code objects that run by turns, under one token.
//!
//! What it takes to record such a line lies in a dozen places of the state, each found through another one. While nobody is at the state,
//! none of them moves: so their addresses are kept from one line to the next, and forgotten whenever anybody comes to the state, by
//! [`StateCell::with`](crate::state::StateCell), or anything else happens that would make them wrong. Only two short ways to the state move
//! nothing, and leave them ([`StateCell::with_places`](crate::state::StateCell)); there is no other one, so that there is no list of things to
//! compare. Only what the interpreter changes by itself is asked each time: which code object runs, and what the variable holds.

use std::cell::UnsafeCell;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use playtrace_ledger::unflushed::{LINES, with_low_line};
use playtrace_tracer::Stretch;
use pyo3::Python;

use crate::asked::{self, Asking};
use crate::current::{self, Held};
use crate::unflushed::End;

/// Bits of a word and of a byte.
const WORD: usize = u64::BITS as usize;
const BYTE: usize = u8::BITS as usize;

/// So many stretches are kept, each at a place of its code object's: a function calls others, and goes on.
const KEPT_AT_ONCE: usize = 16;

/// What is kept counts as long as this is the number that it was when it began. It is another one whenever all of it is to be forgotten.
static SINCE: AtomicU64 = AtomicU64::new(1);

/// Where the lines of code objects go.
static KEPT: Kept = Kept(UnsafeCell::new([Places::NONE; KEPT_AT_ONCE]));

struct Kept(UnsafeCell<[Places; KEPT_AT_ONCE]>);

// SAFETY: it is reached with the interpreter's lock held only (this crate does not declare support for free-threaded builds), by
// functions that don't call each other.
unsafe impl Sync for Kept {}

/// Where the lines of a stretch go. Addresses within the state.
#[derive(Clone, Copy)]
#[repr(align(128))] // two lines of a cache, and an index that is a shift
struct Places {
    /// The code object's.
    code: usize,
    /// [`SINCE`] when it began.
    since: u64,
    /// What the variable held, as an address.
    held: usize,
    /// Of `seen`.
    first_line: u32,
    /// There is room for so many lines from the first one on, in `seen`, in `fresh` and in the number of a record.
    lines: u32,
    bit: u64,
    seen: *mut u64,
    fresh: *mut u64,
    drained: *const u8,
    /// Bytes of `drained`; none where it has no line of these.
    drained_length: usize,
    /// The record of line 0 in the memory map.
    record: u64,
    end: *const End,
}

impl Places {
    const NONE: Self = Self {
        code: 0,
        since: 0,
        held: 0,
        first_line: 0,
        lines: 0,
        bit: 0,
        seen: null_mut(),
        fresh: null_mut(),
        drained: null(),
        drained_length: 0,
        record: 0,
        end: null(),
    };
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
    if held.address() == 0 {
        // It was not set: that is nothing that can be compared.
        return;
    }
    let Stretch { first_line, bit, seen, drained, fresh } = stretch;
    let first = first_line as usize;
    let lines = seen.len().min((fresh.len() * WORD).min(LINES as usize).saturating_sub(first));
    let places = Places {
        code,
        since: SINCE.load(Ordering::Relaxed),
        held: held.address(),
        first_line,
        lines: u32::try_from(lines).unwrap_or_default(),
        bit,
        seen: seen.as_mut_ptr(),
        fresh: fresh.as_mut_ptr(),
        drained: drained.as_ptr(),
        drained_length: if drained.len() > first / BYTE { drained.len() } else { 0 },
        record: note.0,
        end: note.1,
    };
    // SAFETY: the lock is held.
    unsafe { (*KEPT.0.get())[place_of(code)] = places };
}

/// Code objects lie 16 bytes apart at least; they are some hundred bytes long.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line
fn place_of(code: usize) -> usize {
    (code >> 4 ^ code >> 9) % KEPT_AT_ONCE
}

/// Somebody comes to the state, or an address may come to mean something else.
#[inline]
pub(crate) fn end() {
    // In two steps: the lock is held, or this is a forked child in which nothing else runs yet.
    SINCE.store(SINCE.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Records a line if it is a fresh one of a stretch; says whether it was. Can't panic.
#[inline(always)]
#[allow(clippy::inline_always)] // for each line; it is called in one place
pub(crate) fn line(_attached: Python<'_>, asking: Asking, code: usize, line: u32) -> bool {
    // SAFETY: the lock is held, and nobody writes to it meanwhile.
    let places = unsafe { &(&*KEPT.0.get())[place_of(code)] };
    if places.code != code || places.since != SINCE.load(Ordering::Relaxed) {
        return false;
    }
    record(places, asking, line).is_some()
}

#[inline(always)]
#[allow(clippy::inline_always)] // likewise
fn record(places: &Places, asking: Asking, line: u32) -> Option<()> {
    let index = line.wrapping_sub(places.first_line);
    if index >= places.lines {
        return None;
    }
    let line_index = line as usize;
    // SAFETY: since the stretch began, nobody was at the state, which these addresses are of, or moved anything: whatever they lead to is
    // where it was, as long as it was, and nobody has a reference to it. The variable lives for ever.
    unsafe {
        let seen = places.seen.add(index as usize);
        if *seen & places.bit != 0 || !asked::is(asking, current::variable(), places.held) {
            return None;
        }
        if line_index / BYTE < places.drained_length
            && *places.drained.add(line_index / BYTE) >> (line_index % BYTE) & 1 != 0
        {
            return None;
        }
        let word = places.fresh.add(line_index / WORD);
        let bit = 1 << (line_index % WORD);
        if *word & bit != 0 {
            return None;
        }
        (*places.end).push_word(with_low_line(places.record, line))?;
        *word |= bit;
        *seen |= places.bit;
    }
    Some(())
}
