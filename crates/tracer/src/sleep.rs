//! Contexts between two units of work.
//!
//! Most profiles wait for their next request most of the time. No code runs under their tokens then, so what they lack need
//! not be reported: it would be others' work that pays for it. Their masks stay as they are, and which code objects were
//! silenced in the meantime is listed: when a context wakes, it looks only at these.

use crate::code::{CodeId, Reported};
use crate::context::{ContextId, Wants};
use crate::token::{OVERFLOW, bit};
use crate::tracer::{Arm, Rearm, Tracer};

/// With so many code objects on the list, those that sleep give their slots back, and the list begins anew.
const LONGEST: usize = 1 << 16;

/// Code objects of which something was silenced while a context slept, in that order.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    codes: Vec<CodeId>,
    /// How many were forgotten before the first one.
    forgotten: u64,
    /// Where the list ended when a context fell asleep last.
    last_sleep: u64,
    /// The slots of those that sleep.
    asleep: u64,
}

impl Silences {
    fn end(&self) -> u64 {
        self.forgotten + self.codes.len() as u64
    }

    /// What was listed from a place on.
    fn since(&self, place: u64) -> &[CodeId] {
        let place = usize::try_from(place.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.codes.get(place..).unwrap_or_default()
    }

    /// Whether nobody sleeps.
    pub(crate) fn is_unused(&self) -> bool {
        self.asleep == 0
    }

    /// A context does not sleep any more.
    pub(crate) fn wake(&mut self, bit: u64) {
        self.asleep &= !bit;
        if self.asleep == 0 {
            self.forgotten = self.end();
            self.codes.clear();
        }
    }
}

impl Tracer {
    /// No work of a context is left that could run before it is activated again.
    pub fn sleep(&mut self, id: ContextId) {
        if self.silences.codes.len() > LONGEST {
            self.put_sleepers_to_rest();
        }
        let end = self.silences.end();
        let Some(context) = self.context_mut(id) else { return };
        let Some(active) = context.active.filter(|active| active.slot != OVERFLOW) else { return };
        if context.asleep_since.is_some() {
            return;
        }
        context.asleep_since = Some(end);
        let bit = bit(active.slot);
        self.active &= !bit;
        self.lined &= !bit;
        self.silences.asleep |= bit;
        self.silences.last_sleep = end;
    }

    /// Something of a code object was silenced.
    pub(crate) fn note_silence(&mut self, id: CodeId) {
        let silences = &mut self.silences;
        if silences.is_unused() {
            return;
        }
        let code = &mut self.codes[id.index()];
        // Listed once for whoever sleeps now.
        if code.listed <= silences.last_sleep {
            silences.codes.push(id);
            code.listed = silences.end();
        }
    }

    /// The work of a context begins again. Answers with the code objects to arm.
    pub(crate) fn wake(&mut self, id: ContextId) -> Rearm {
        let Some(context) = self.context_mut(id) else { return Vec::new() };
        let (Some(since), Some(active)) = (context.asleep_since.take(), context.active) else {
            return Vec::new();
        };
        let (bit, wants) = (bit(active.slot), context.wants);
        self.active |= bit;
        if wants == Wants::Lines {
            self.lined |= bit;
            self.lined_added += 1;
        }
        let mut rearm = Vec::new();
        for id in self.silences.since(since) {
            let code = &mut self.codes[id.index()];
            let silent = code.reported != Reported::EveryLine || code.entries_silenced;
            let lacks_nothing = match wants {
                Wants::Lines => code.has_every_line(bit),
                Wants::Entries => (code.started | code.resumed) & bit != 0,
            };
            if !silent || code.is_removed || lacks_nothing {
                continue;
            }
            // Its next entry arms the code, and must be reported.
            code.forget_entries(bit);
            if code.entries_silenced {
                code.entries_armed();
                rearm.push((*id, Arm::Entries { lines: code.reported != Reported::NoLine }));
            }
        }
        self.silences.wake(bit);
        if !rearm.is_empty() {
            let codes = &self.codes;
            self.quiet.retain(|id| codes[id.index()].entries_silenced);
        }
        rearm
    }

    fn put_sleepers_to_rest(&mut self) {
        let sleepers = (0u32..).zip(&self.contexts).filter_map(|(index, context)| {
            context.as_ref().and_then(|context| context.asleep_since).map(|_| ContextId(index))
        });
        for id in sleepers.collect::<Vec<_>>() {
            self.deactivate(id);
        }
    }
}
