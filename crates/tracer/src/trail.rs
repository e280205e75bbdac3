//! A short cut: the next line of a code object under the same token, as long as nothing changed.

use crate::code::{Code, CodeId};
use crate::context::ContextId;
use crate::token::{OVERFLOW, Token, bit};
use crate::tracer::Tracer;

/// Where the lines of a code object go that are reached under a token: found once, and good until a context ends or a code
/// object is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Trail {
    owner: ContextId,
    /// Of the owner's slot.
    bit: u64,
    /// Where in the owner's files the code object's is.
    place: usize,
    /// [`Tracer::changes`] when it was found.
    since: u64,
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

impl Tracer {
    /// The trail of a code object under a token. Only where [`Tracer::line`] has recorded a line before, and not for contexts
    /// that have no slot of their own.
    pub fn trail(&mut self, code: CodeId, token: Token) -> Option<Trail> {
        let (owner, slot) = self.lined_by(token)?;
        let since = self.changes;
        let (context, masks) = self.both(owner, code)?;
        let bit = bit(slot);
        // The end of a context looks for its bits only in what it touched.
        let usable = slot != OVERFLOW && masks.touched & bit != 0;
        let place = context.place_of(masks.file).filter(|_| usable)?;
        Some(Trail { owner, bit, place, since })
    }

    /// Deals with a line that was reached, the quick way. `trail` is asked for the code object's, if it is good for the token that
    /// runs, unless the line is news to nobody; `note` for a place where a fresh line survives a kill, and says whether there is
    /// one. Can't panic if these can't.
    #[inline]
    pub fn follow<'a>(
        &mut self,
        code: CodeId,
        line: u32,
        trail: impl FnOnce() -> Option<&'a Trail>,
        note: impl FnOnce() -> bool,
    ) -> Followed {
        let Some(code) = self.codes.get_mut(code.index()) else { return Followed::Lost };
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
        let Some(Some(context)) = self.contexts.get_mut(trail.owner.0 as usize) else {
            return Followed::Lost;
        };
        let recorded = context.record_at(trail.place, line, note);
        if recorded != Followed::Lost {
            *seen |= trail.bit;
        }
        recorded
    }
}
