//! A short cut: the next line under the same token, as long as nothing changed.

use crate::code::{Code, CodeId, FileId, Reported};
use crate::context::ContextId;
use crate::events::touch;
use crate::token::{OVERFLOW, Token, bit};
use crate::tracer::Tracer;

/// Whose the lines are that are reached under a token: found once, and good until a context ends or a code object is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Trail {
    owner: ContextId,
    /// Of the owner's slot.
    bit: u64,
    /// [`Tracer::changes`] when it was found.
    since: u64,
}

/// Where a context has the lines of a file: as good, and for as long, as its [`Trail`].
#[derive(Debug, Clone, Copy)]
pub struct Track {
    owner: ContextId,
    file: FileId,
    /// Where in the owner's files it is.
    place: usize,
    since: u64,
}

impl Track {
    /// The file.
    pub const fn file(&self) -> FileId {
        self.file
    }
}

/// Where the next lines of a code object go that are reached on a trail, for whoever records many of them. A line that neither `seen` nor
/// `drained` nor `fresh` has is recorded by adding it to `seen` and `fresh`; any other, and one that they have no room for, is
/// [`Tracer::follow`]'s.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// The line of the first of `seen`.
    pub first_line: u32,
    /// By line: who has it.
    pub seen: &'a mut [u64],
    /// Whose lines these are, in `seen`.
    pub bit: u64,
    /// The lines of the file that were recorded before the last flush: line `n` is bit `n % 8` of byte `n / 8`.
    pub drained: &'a [u8],
    /// Those since: line `n` is bit `n % 64` of word `n / 64`.
    pub fresh: &'a mut [u64],
}

/// What following a trail found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Nothing needs to be recorded, nor to be done about the place.
    Known,
    /// The line is new to the context, and recorded now.
    Fresh,
    /// The short cut does not lead there, and nothing was changed: [`Tracer::redundant_line`] and [`Tracer::line`] know.
    Lost,
}

/// What became of an entry on a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// Whoever entered has been here before, and others have not.
    Again,
    /// It is noted now.
    First,
    /// The short cut does not lead there, and nothing was changed: [`Tracer::enter`] knows.
    Lost,
}

impl Tracer {
    /// Notes that a code object was entered by a call under a token, whose trail this is: what [`Tracer::enter`] does for a
    /// context that wants lines, where all are reported. Nothing that a [`Stretch`] is of moves.
    #[inline]
    pub fn enter_on(&mut self, trail: &Trail, token: Token, id: CodeId) -> Entered {
        // Whoever hands its lines on has an entry of its own to note.
        if trail.since != self.changes || bit(token.slot()) != trail.bit || self.anyone.is_some() {
            return Entered::Lost;
        }
        let Some(code) = self.codes.get_mut(id.index()) else { return Entered::Lost };
        if self.active & !code.started == 0 {
            return Entered::Lost;
        }
        if code.started & trail.bit != 0 {
            return Entered::Again;
        }
        if code.reported != Reported::EveryLine || code.all_seen().1.is_empty() {
            return Entered::Lost;
        }
        let Some(Some(context)) = self.contexts.get_mut(trail.owner.0 as usize) else {
            return Entered::Lost;
        };
        code.started |= trail.bit;
        touch(code, id, context, trail.bit);
        Entered::First
    }

    /// The trail of a token; not for contexts that have no slot of their own.
    pub fn trail(&mut self, token: Token) -> Option<Trail> {
        let (owner, slot) = self.lined_by(token)?;
        (slot != OVERFLOW).then_some(Trail { owner, bit: bit(slot), since: self.changes })
    }

    /// Where the lines of a code object go that are reached on a trail. Only where [`Tracer::line`] has recorded a line of its file before.
    pub fn track(&self, code: CodeId, trail: &Trail) -> Option<Track> {
        let file = self.codes.get(code.index())?.file;
        let place = self.context(trail.owner)?.place_of(file)?;
        Some(Track { owner: trail.owner, file, place, since: trail.since })
    }

    /// The file of a code object.
    pub fn file_of(&self, code: CodeId) -> Option<FileId> {
        self.codes.get(code.index()).map(|code| code.file)
    }

    /// Where a code object's next lines go; under the same conditions as [`Tracer::follow`], and not before a line of the file was
    /// recorded since the last flush.
    pub fn stretch(&mut self, code: CodeId, trail: &Trail, track: &Track) -> Option<Stretch<'_>> {
        if trail.since != self.changes || (track.owner, track.since) != (trail.owner, trail.since) {
            return None;
        }
        let context = self.contexts.get_mut(trail.owner.0 as usize)?.as_mut()?;
        let code = self.codes.get_mut(code.index())?;
        if code.file != track.file || code.touched & trail.bit == 0 {
            return None;
        }
        let (drained, fresh) = context.places_at(track.place)?;
        let (first_line, seen) = code.all_seen();
        Some(Stretch { first_line, seen, bit: trail.bit, drained, fresh })
    }

    /// Deals with a line that was reached, the quick way. `trail` is asked for that of the token that runs, unless the line is news to
    /// nobody; `track` for one of the code object's file; `note` for a place where a fresh line survives a kill, and says whether
    /// there is one. Can't panic if these can't.
    #[inline(always)]
    #[allow(clippy::inline_always)] // for each line; it is called in one place
    pub fn follow<'a, T>(
        &mut self,
        code: CodeId,
        line: u32,
        trail: impl FnOnce() -> Option<&'a Trail>,
        track: impl FnOnce(FileId) -> Option<(&'a Track, T)>,
        note: impl FnOnce(T) -> bool,
    ) -> Followed {
        let Some(code) = self.codes.get_mut(code.index()) else { return Followed::Lost };
        let (file, touched) = (code.file, code.touched);
        // Where it was reported often enough, the place may have to be silenced.
        let known = |code: &mut Code| if code.spend_spare_line() { Followed::Known } else { Followed::Lost };
        let Some(seen) = code.seen_at(line) else { return Followed::Lost };
        if self.lined & !*seen == 0 {
            return known(code);
        }
        let Some(trail) = trail().filter(|trail| trail.since == self.changes) else { return Followed::Lost };
        if *seen & trail.bit != 0 {
            return known(code);
        }
        // The end of a context looks for its bits only in what it touched.
        if touched & trail.bit == 0 {
            return Followed::Lost;
        }
        let Some((track, noting)) = track(file) else { return Followed::Lost };
        if (track.owner, track.file, track.since) != (trail.owner, file, trail.since) {
            return Followed::Lost;
        }
        let Some(Some(context)) = self.contexts.get_mut(trail.owner.0 as usize) else {
            return Followed::Lost;
        };
        let recorded = context.record_at(track.place, line, || note(noting));
        if recorded != Followed::Lost {
            *seen |= trail.bit;
        }
        recorded
    }
}
