//! The short cut for lines: of code objects that reported a line lately, what needs not be looked up again.
//!
//! A request's lines come one after the other from a few code objects, under one token. Where the token, the context, the file and
//! the memory map were found for one line, they are kept for the next; whatever may have changed since is a number to compare.
//! Each answer is the one that the long way gives (`callbacks.rs`), or none, and then nothing was done.

use playtrace_tracer::{CodeId, Followed, Tracer, Trail};
use pyo3::Python;

use crate::current::{self, Held};
use crate::unflushed::{LineNote, Tail};

/// So many code objects are kept in mind.
const PLACES: usize = 64;

/// What is known of one code object.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its address; 0 is none.
    code: usize,
    id: CodeId,
    way: Option<Way>,
}

/// Where its lines go.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// What the variable held; the token of the trail.
    held: Held,
    trail: Trail,
    note: LineNote,
}

/// What is known of the code objects that reported lines lately.
pub(crate) struct Trails {
    places: [Option<Place>; PLACES],
    /// Where lines are kept from being lost by a kill.
    tail: Option<Tail>,
}

impl Trails {
    pub(crate) const fn new() -> Self {
        Self { places: [None; PLACES], tail: None }
    }

    /// Deals with a line if that can be done by what is known; says whether it was. Can't panic.
    #[inline]
    pub(crate) fn line(&self, py: Python<'_>, tracer: &mut Tracer, code: usize, line: u32) -> bool {
        let Some(Some(place)) = self.places.get(index(code)).filter(|place| is_of(place.as_ref(), code))
        else {
            return false;
        };
        // Asking runs no Python code.
        let way = place.way.as_ref();
        let trail = || way.filter(|way| current::holds(py, way.held)).map(|way| &way.trail);
        let note = || {
            let noted = way.zip(self.tail.as_ref()).and_then(|(way, tail)| tail.note_again(way.note, line));
            noted.is_some()
        };
        tracer.follow(place.id, line, trail, note) != Followed::Lost
    }

    /// Keeps in mind which number a code object has.
    pub(crate) fn meet(&mut self, code: usize, id: CodeId) {
        let place = &mut self.places[index(code)];
        if !is_of(place.as_ref(), code) {
            *place = Some(Place { code, id, way: None });
        }
    }

    /// Keeps in mind where the lines of a code object go.
    pub(crate) fn learn(
        &mut self,
        code: usize,
        id: CodeId,
        held: Held,
        trail: Trail,
        noted: (LineNote, Tail),
    ) {
        self.tail = Some(noted.1);
        self.places[index(code)] = Some(Place { code, id, way: Some(Way { held, trail, note: noted.0 }) });
    }

    /// Forgets everything: code objects are gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

fn is_of(place: Option<&Place>, code: usize) -> bool {
    place.is_some_and(|place| place.code == code)
}

/// Objects lie 16 bytes apart at least; code objects are some hundred bytes long.
fn index(code: usize) -> usize {
    (code >> 4 ^ code >> 10) % PLACES
}
