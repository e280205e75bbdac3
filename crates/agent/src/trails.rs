//! The short cut for lines: what was found for one line, and needs not be looked up again for the next.
//!
//! A request's lines come one after the other from a few code objects of a few files, under one token. Which number a code object has, whose
//! the lines of a token are, and where the lines of a file go are kept apart: a request's first line tells the last two for all code
//! objects that it enters. Whatever may have changed since is a number to compare. Each answer is the one that the long way gives
//! (`callbacks.rs`), or none, and then nothing was done.

use playtrace_tracer::{CodeId, Entered, Followed, Token, Tracer, Track, Trail};
use pyo3::Python;

use crate::current::{self, Held};
use crate::stretch;
use crate::unflushed::{LineNote, Tail};

/// So many code objects are kept in mind, so many tokens, and so many files.
const CODES: usize = 1024;
const WORKS: usize = 4;
const FILES: usize = 16;

/// The number of the code object at an address; 0 is none.
#[derive(Debug, Clone, Copy)]
struct Place {
    code: usize,
    id: Option<CodeId>,
}

/// Whose lines are reached while the variable holds something.
#[derive(Debug, Clone, Copy)]
struct Work {
    held: Held,
    token: Token,
    trail: Trail,
}

/// Where the lines of a file go.
#[derive(Debug, Clone, Copy)]
struct Way {
    track: Track,
    note: LineNote,
}

/// What was found lately.
pub(crate) struct Trails {
    codes: [Place; CODES],
    works: [Option<Work>; WORKS],
    ways: [Option<Way>; FILES],
    /// Where lines are kept from being lost by a kill.
    tail: Option<Tail>,
}

impl Trails {
    pub(crate) const fn new() -> Self {
        let none = Place { code: 0, id: None };
        Self { codes: [none; CODES], works: [None; WORKS], ways: [None; FILES], tail: None }
    }

    /// Deals with a line if that can be done by what is known; says whether it was. Can't panic.
    #[inline(always)]
    #[allow(clippy::inline_always)] // for each line; it is called in one place
    pub(crate) fn line(&self, py: Python<'_>, tracer: &mut Tracer, code: usize, line: u32) -> Followed {
        let Some(id) = self.code(code) else { return Followed::Lost };
        // Asking runs no Python code.
        let trail = || self.work(py).map(|work| &work.trail);
        let way = |file: playtrace_tracer::FileId| {
            let way = self.ways[file.0 as usize % FILES].as_ref()?;
            Some((&way.track, way.note))
        };
        let note = |note| self.tail.as_ref().and_then(|tail| tail.note_again(note, line)).is_some();
        tracer.follow(id, line, trail, way, note)
    }

    /// The next lines of a code object are mostly fresh: one was recorded this way, or whoever runs entered it for the first time.
    #[inline(never)]
    pub(crate) fn begin_stretch(
        &self,
        py: Python<'_>,
        tracer: &mut Tracer,
        code: usize,
        id: CodeId,
    ) -> Option<()> {
        self.begin_stretch_of(py, tracer, (code, id), self.work(py)?)
    }

    fn begin_stretch_of(
        &self,
        py: Python<'_>,
        tracer: &mut Tracer,
        (code, id): (usize, CodeId),
        work: &Work,
    ) -> Option<()> {
        let way = self.ways[tracer.file_of(id)?.0 as usize % FILES].as_ref()?;
        let note = self.tail.as_ref()?.whole(way.note)?;
        let stretch = tracer.stretch(id, &work.trail, &way.track)?;
        // SAFETY: all of it is borrowed from the state, where the caller is at this moment; whoever comes next ends the stretch, or moves
        // nothing.
        unsafe { stretch::begin(py, code, work.held, stretch, note) };
        Some(())
    }

    /// Deals with an entry by a call if that can be done by what is known; says whether it was. Can't panic.
    #[inline]
    pub(crate) fn enter(&self, py: Python<'_>, tracer: &mut Tracer, code: usize) -> bool {
        let (Some(id), Some(work)) = (self.code(code), self.work(py)) else { return false };
        let entered = tracer.enter_on(&work.trail, work.token, id);
        if entered == Entered::First {
            self.begin_stretch_of(py, tracer, (code, id), work);
        }
        entered != Entered::Lost
    }

    /// The number of a code object that is kept in mind.
    #[inline]
    pub(crate) fn code(&self, code: usize) -> Option<CodeId> {
        let place = self.codes[index(code)];
        if place.code == code { place.id } else { None }
    }

    /// The token that runs, if it is kept in mind.
    #[inline]
    pub(crate) fn token(&self, py: Python<'_>) -> Option<Token> {
        self.work(py).map(|work| work.token)
    }

    #[inline]
    fn work(&self, py: Python<'_>) -> Option<&Work> {
        let now = current::holds(py)?;
        self.works[work_index(now)].as_ref().filter(|work| work.held == now)
    }

    /// Keeps in mind which number a code object has.
    pub(crate) fn meet(&mut self, code: usize, id: CodeId) {
        self.codes[index(code)] = Place { code, id: Some(id) };
    }

    /// Keeps in mind whose the lines of a token are.
    pub(crate) fn learn_work(&mut self, held: Held, token: Token, trail: Trail) {
        self.works[work_index(held)] = Some(Work { held, token, trail });
    }

    /// Keeps in mind where the lines of a file go.
    pub(crate) fn learn_way(&mut self, track: Track, note: LineNote, tail: &Tail) {
        if !self.tail.as_ref().is_some_and(|known| known.is(tail)) {
            self.tail = Some(tail.clone());
        }
        self.ways[track.file().0 as usize % FILES] = Some(Way { track, note });
    }

    /// Forgets everything: code objects are gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// Fibonacci hashing: two that share a place push each other out, and their addresses are a few hundred bytes apart.
#[inline]
#[allow(clippy::cast_possible_truncation)] // all but the lowest bits
fn index(code: usize) -> usize {
    (code as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(CODES.ilog2()) as usize % CODES
}

/// Tokens are 48 bytes long.
fn work_index(held: Held) -> usize {
    (held.address() >> 4) % WORKS
}
