//! A short cut: the next line of a code object under the same token, as long as nothing changed.

use crate::code::CodeId;
use crate::context::ContextId;
use crate::token::{OVERFLOW, Token, bit};
use crate::tracer::Tracer;

/// Where the lines of a code object go that are reached under a token: found once, and good until a context ends or a code
/// object is forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Trail {
    code: CodeId,
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
    /// The context has the line, and somebody else lacks it.
    Known,
    /// The line is new to the context, and recorded now.
    Fresh,
    /// The short cut does not lead there, and nothing was changed: [`Tracer::line`] knows.
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
        Some(Trail { code, owner, bit, place, since })
    }

    /// Whether a line event is news to nobody and nothing needs to be done about it; it is counted then. The first of all
    /// questions about a line: [`Tracer::redundant_line`] for nearly all loops. Can't panic.
    #[inline]
    pub fn is_plainly_redundant(&mut self, code: CodeId, line: u32) -> bool {
        let lined = self.lined;
        self.codes.get_mut(code.index()).is_some_and(|code| {
            code.seen_at(line).is_some_and(|seen| lined & !*seen == 0) && code.spend_spare_line()
        })
    }

    /// Records a line of a trail's code object that was reached under its token and that somebody lacks. Can't panic.
    #[inline]
    pub fn follow(&mut self, trail: &Trail, line: u32) -> Followed {
        if trail.since != self.changes {
            return Followed::Lost;
        }
        let lined = self.lined;
        let Some((context, code)) = self.both(trail.owner, trail.code) else { return Followed::Lost };
        let Some(seen) = code.seen_at(line) else { return Followed::Lost };
        if *seen & trail.bit != 0 {
            // Where nobody lacks it, or it was reported often enough, the place may have to be silenced.
            let known = lined & !*seen != 0 && code.spend_spare_line();
            return if known { Followed::Known } else { Followed::Lost };
        }
        let Some(fresh) = context.record_at(trail.place, line) else { return Followed::Lost };
        *seen |= trail.bit;
        if fresh { Followed::Fresh } else { Followed::Known }
    }
}
