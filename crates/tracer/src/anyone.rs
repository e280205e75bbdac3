//! What nobody's work enters: which functions run for traffic that no profile is behind.
//!
//! A context as others, with a slot, that wants entries. It differs in how long it runs: for as long as the process, so that a
//! code object must be silent once it has been entered, whatever the place; and nobody wants lines for most of that time.

use crate::Fresh;
use crate::code::{Code, CodeId, Reported, Way};
use crate::context::{Context, ContextId, FileLines, Wants};
use crate::events::Entry;
use crate::token::{Token, bit};
use crate::tracer::{Rearm, Tracer};

/// The context of nobody's work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anyone {
    pub(crate) context: ContextId,
    pub(crate) token: Token,
    pub(crate) bit: u64,
}

/// What need not be reported of a code object while no profile is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disarm {
    /// Nothing.
    Everything,
    /// Its lines: nobody's work has yet to enter it.
    Lines,
}

impl Tracer {
    /// Begins to record what nobody's work enters. Answers with the code objects to arm; `None` if it is recorded already, or no
    /// slot is free.
    pub fn begin_anyone(&mut self) -> Option<Rearm> {
        if self.anyone.is_some() || self.free_slots() == 0 {
            return None;
        }
        let context = self.add_context(Wants::Entries, None);
        Some(self.start_anyone(context))
    }

    /// Forgets what nobody's work has entered, and records it anew. Answers with the code objects to arm.
    pub fn renew_anyone(&mut self) -> Rearm {
        let Some(Anyone { context, .. }) = self.anyone else { return Vec::new() };
        self.deactivate(context);
        if let Some(context) = self.context_mut(context) {
            *context = Context::new(Wants::Entries, None);
        }
        // The slot that it gave back is free.
        self.start_anyone(context)
    }

    fn start_anyone(&mut self, context: ContextId) -> Rearm {
        // Known before anything is armed: nobody need want lines.
        let unknown = Anyone { context, token: Token::from_raw(0), bit: 0 };
        self.anyone = Some(unknown);
        let activation = self.activate(context);
        let bit = bit(activation.token.slot());
        self.anyone = Some(Anyone { token: activation.token, bit, ..unknown });
        activation.rearm
    }

    /// What nobody's work has entered, by first lines (`co_firstlineno`).
    pub fn anyones(&self) -> FileLines {
        self.anyone.map(|anyone| self.whole(anyone.context)).unwrap_or_default()
    }

    /// Whether there is something of that since this was last asked.
    pub fn anyone_has_news(&mut self) -> bool {
        self.anyone.is_some_and(|anyone| !self.drain(anyone.context).is_empty())
    }

    /// A code object was entered by nobody's work.
    pub fn enter_for_anyone(&mut self, id: CodeId, way: Way) -> (Entry, Option<Fresh>) {
        self.enter(id, way, self.anyone.map(|anyone| anyone.token))
    }

    /// A code object whose entries say nothing: a module's body. It is run by an import, or by `exec`.
    pub fn is_no_function(&mut self, id: CodeId) {
        self.codes[id.index()].no_function = true;
    }

    /// Whether somebody may want lines of a code object that was just added.
    pub fn wants_lines_of(&self, id: CodeId) -> bool {
        self.codes[id.index()].reported != Reported::NoLine
    }

    /// The bit of nobody's work, if it has been in a code object, whatever the way.
    #[inline]
    pub(crate) fn anyone_in(&self, code: &Code) -> u64 {
        self.anyone.map_or(0, |Anyone { bit, .. }| {
            if code.no_function || (code.started | code.resumed) & bit != 0 { bit } else { 0 }
        })
    }

    /// Whether nobody but nobody's work is active.
    pub(crate) fn is_anyone_alone(&self) -> bool {
        self.active & !self.anyone.map_or(0, |anyone| anyone.bit) == 0
    }
}
