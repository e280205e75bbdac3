//! The answers to what the interpreter reports.

use crate::code::{Code, CodeId, FileId, Reported, Way};
use crate::context::{Context, ContextId, Wants};
use crate::token::{OVERFLOW, Slot, Token, bit};
use crate::tracer::{Arm, Tracer};

/// What is to be done with a line that is news to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redundant {
    /// It is reported again.
    Keep,
    /// Silence this one place (`sys.monitoring.DISABLE`).
    Silence,
    /// Silence this place, and take the event away from all other lines of the code object as well: nobody lacks any. (Where
    /// the interpreter finds out by itself that a line was not left, it reports nothing, so that such a place can't be
    /// silenced by itself, and costs time for as long as its code object wants lines: a loop that stands on one line.)
    SilenceLines,
    /// Tell which lines the code object has ([`Tracer::describe`]), then do what [`Tracer::silence`] answers.
    Describe,
}

/// What is to be done with a line that others lack, but not whoever executes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacked {
    /// It is reported again.
    Keep,
    /// Silence this one place.
    Silence,
    /// See whether any other frame of the code object runs, in whatever thread; then [`Tracer::hold`] or
    /// [`Tracer::is_crowded`].
    Look,
}

/// What to do when a code object was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Keep,
    /// Nothing; it is the first entry of its kind of whoever entered, whose lines come next and are news for the most part.
    First,
    /// Silence this one place.
    Silence,
    /// Report every place of this code object again, before its next instruction runs.
    Rearm,
}

/// A line that a context had not recorded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// Whose line it is now.
    pub context: ContextId,
    /// The file.
    pub file: FileId,
    /// The line; of a context that wants entries, the first one of what was entered.
    pub line: u32,
}

impl Tracer {
    /// Whether a line event is news to nobody; then it must not be handed to [`Tracer::line`]. The quick half of
    /// a line event: it needs no token.
    pub fn redundant_line(&mut self, id: CodeId, line: u32) -> Option<Redundant> {
        let code = &mut self.codes[id.index()];
        if self.lined & !code.seen(line)? != 0 {
            return None;
        }
        if !code.spend_line() {
            return Some(Redundant::Keep);
        }
        Some(if code.is_undescribed() { Redundant::Describe } else { self.silence(id) })
    }

    /// Tells which lines the interpreter may report in a code object (more do no harm, fewer would lose some); `None` if that
    /// can't be told.
    pub fn describe(&mut self, id: CodeId, lines: Option<Vec<u32>>) {
        self.codes[id.index()].describe(lines);
    }

    /// What to do about a line that nobody lacks and that was reported often enough.
    pub fn silence(&mut self, id: CodeId) -> Redundant {
        if self.silence_lines(id) {
            return Redundant::SilenceLines;
        }
        self.codes[id.index()].reported = Reported::SomeLines;
        self.note_silence(id);
        Redundant::Silence
    }

    /// Whether the line event is to be taken away from a code object whose entry was silenced: nobody lacks a line of it, and it may
    /// never be asked about one again (CPython 3.13 reports that of a one-line function only together with its entry).
    pub fn silence_lines(&mut self, id: CodeId) -> bool {
        let code = &mut self.codes[id.index()];
        let all = code.reported != Reported::NoLine && code.is_complete(self.lined, self.lined_added);
        if all {
            code.reported = Reported::NoLine;
            self.note_silence(id);
        }
        all
    }

    /// Whether it is not known which lines a code object has, and worth knowing.
    pub fn is_undescribed(&self, id: CodeId) -> bool {
        self.lined != 0 && self.codes[id.index()].is_undescribed()
    }

    /// A line was reached under a token. Whoever else lacks it still needs the place.
    pub fn line(&mut self, id: CodeId, line: u32, token: Token) -> Option<Fresh> {
        let (owner, slot) = self.lined_by(token)?;
        let (context, code) = self.both(owner, id)?;
        if slot != OVERFLOW {
            if !code.see(line, bit(slot)) {
                return None;
            }
            touch(code, id, context, bit(slot));
        }
        context.record(code.file, line).then_some(Fresh { context: owner, file: code.file, line })
    }

    /// A line was reached that needs no recording here (under a token that has it, or under none), and that a context lacks which
    /// may not run at all just now.
    ///
    /// It can be silenced all the same if no frame of anybody else runs in the code object: whoever comes next is reported
    /// entering, and has everything reported again. Else the loops of one profile would be reported line by line for as
    /// long as another one is at work elsewhere.
    pub fn lacked_by_others(&mut self, id: CodeId, line: u32, token: Option<Token>) -> Lacked {
        let holder = self.holder(token);
        let code = &mut self.codes[id.index()];
        let (Some(seen), Some(holder)) = (code.seen(line), holder) else { return Lacked::Keep };
        if self.lined & bit(OVERFLOW) != 0 || seen & holder != holder || !code.spend_line() {
            return Lacked::Keep;
        }
        if !code.is_held_by(holder) {
            return Lacked::Look;
        }
        code.reported = Reported::SomeLines;
        self.note_silence(id);
        Lacked::Silence
    }

    /// No frame of the code object runs but the one that reported a line under `token`: its place is silenced. Gives the code object if
    /// its entries must be reported again.
    pub fn hold(&mut self, id: CodeId, token: Option<Token>) -> Option<(CodeId, Arm)> {
        let holder = self.holder(token)?;
        let others = self.lined & !holder;
        let code = &mut self.codes[id.index()];
        let silenced = code.hold(holder, others);
        code.reported = Reported::SomeLines;
        if silenced {
            self.quiet.retain(|quiet| *quiet != id);
        }
        self.note_silence(id);
        silenced.then_some((id, Arm::Entries { lines: true }))
    }

    /// Another frame of the code object runs.
    pub fn is_crowded(&mut self, id: CodeId) {
        self.codes[id.index()].is_crowded();
    }

    /// The bit of whoever gets the lines of a token's work, 0 for nobody; `None` for a context without one.
    fn holder(&mut self, token: Option<Token>) -> Option<u64> {
        match token.and_then(|token| self.lined_by(token)) {
            Some((_, OVERFLOW)) => None,
            Some((_, slot)) => Some(bit(slot)),
            None => Some(0),
        }
    }

    /// Whether the work of a token has not recorded a line that it wants.
    pub fn lacks_line(&mut self, id: CodeId, line: u32, token: Token) -> bool {
        let lined = self.lined_by(token).and_then(|(owner, _)| self.both(owner, id));
        lined.is_some_and(|(context, code)| !context.has(code.file, line))
    }

    /// The same for entering a code object.
    pub fn lacks_entry(&mut self, id: CodeId, token: Token) -> bool {
        let owner = self.resolve(token).and_then(|owner| self.both(owner, id));
        owner.is_some_and(|(context, code)| {
            context.wants == Wants::Entries && !context.has(code.file, code.defined_at)
        })
    }

    /// A code object was entered, under a token or none.
    pub fn enter(&mut self, id: CodeId, way: Way, token: Option<Token>) -> (Entry, Option<Fresh>) {
        let anyone = self.anyone_in(&self.codes[id.index()]);
        let alone = self.is_anyone_alone();
        let code = &mut self.codes[id.index()];
        let known = *code.known(way) | anyone;
        if self.active & !known == 0 {
            // Nobody's work stays as long as the process does: there is nothing to wait for.
            let is_enough = (alone && anyone != 0) || code.spend_entry();
            if !is_enough {
                return (Entry::Keep, None);
            }
            if !code.entries_silenced {
                code.entries_silenced = true;
                self.quiet.push(id);
            }
            self.note_silence(id);
            return (Entry::Silence, None);
        }
        let Some(token) = token else { return (Entry::Keep, None) };
        if anyone != 0 && self.anyone.is_some_and(|anyone| anyone.token == token) {
            return (Entry::Keep, None);
        }
        if let Some((_, slot)) = self.lined_by(token)
            && slot != OVERFLOW
            && token.slot() != OVERFLOW
        {
            let both = bit(slot) | bit(token.slot());
            if known & both == both {
                // As every time since the first: it is others who have not been here.
                return (Entry::Keep, None);
            }
        }
        let Some(owner) = self.resolve(token) else { return (Entry::Keep, None) };
        let lined = self.lined_of(owner);
        // What was silenced since a context began to run was silenced because that context has it.
        let entered =
            |slot: Slot, code: &Code| slot != OVERFLOW && (code.started | code.resumed) & bit(slot) != 0;
        let settled = lined.is_none_or(|(_, slot)| entered(slot, &self.codes[id.index()]));
        let fresh = self.note_entry(id, owner, way);
        if let Some((lined, _)) = lined.filter(|(lined, _)| *lined != owner) {
            self.note_entry(id, lined, way);
        }
        let code = &mut self.codes[id.index()];
        if code.reported != Reported::EveryLine && !settled {
            code.armed();
            return (Entry::Rearm, fresh);
        }
        (Entry::First, fresh)
    }

    /// Notes that a context entered a code object; gives the first line of it if that is what the context wants.
    fn note_entry(&mut self, id: CodeId, owner: ContextId, way: Way) -> Option<Fresh> {
        let (context, code) = self.both(owner, id)?;
        let slot = context.active?.slot;
        if slot != OVERFLOW {
            code.enter(way, bit(slot));
            touch(code, id, context, bit(slot));
            if context.wants == Wants::Lines {
                code.expect_lines();
            }
        }
        let (file, line) = (code.file, code.defined_at);
        (context.wants == Wants::Entries && context.record(file, line)).then_some(Fresh {
            context: owner,
            file,
            line,
        })
    }

    /// The work of a token goes on in the middle of a running code object (a context was switched there, or an
    /// exception was thrown into a generator); says whether the code object must be armed again.
    ///
    /// This is not an entry: the next call must still be reported, because a one-line function reports its line
    /// only together with its entry (CPython 3.13).
    pub fn goes_on(&mut self, id: CodeId, token: Token) -> bool {
        let Some(owner) = self.resolve(token) else { return false };
        let code = &self.codes[id.index()];
        let entered = |slot: Slot| slot != OVERFLOW && (code.started | code.resumed) & bit(slot) != 0;
        let lined = self.lined_of(owner);
        let settled = entered(token.slot()) && lined.is_none_or(|(_, slot)| entered(slot));
        if settled || (code.reported == Reported::EveryLine && !code.entries_silenced) {
            return false;
        }
        self.codes[id.index()].armed();
        true
    }
}

/// Notes that `code` holds a bit of `context`, so that the end of the context finds it.
#[inline]
pub(crate) fn touch(code: &mut Code, id: CodeId, context: &mut Context, bits: u64) {
    if code.touched & bits == 0 {
        code.touched |= bits;
        context.touched.push(id);
    }
}
