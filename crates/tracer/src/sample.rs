//! A sample of nobody's work: all that one request enters, also what was entered before and is silent since.
//!
//! A context of its own for the length of the request, so that every silent code object is heard of once more. There is one at a time.

use crate::code::{CodeId, Way};
use crate::context::Wants;
use crate::events::{Entry, Fresh};
use crate::tracer::{Rearm, Tracer};

impl Tracer {
    /// How many code objects are to be armed where a sample begins now; `None` where it can't: a sample is taken, a profile is at
    /// work, or nobody's work is not recorded.
    pub fn sample_wants(&self) -> Option<usize> {
        let can = self.anyone.is_some() && self.is_anyone_alone() && self.free_slots() > 0;
        can.then_some(self.quiet.len())
    }

    /// Begins a sample; answers with the code objects to arm. `None` where it can't.
    pub fn begin_sample(&mut self) -> Option<Rearm> {
        self.sample_wants()?;
        let context = self.add_context(Wants::Entries, None);
        let activation = self.activate(context);
        self.sample = Some((context, activation.token));
        Some(activation.rearm)
    }

    /// Ends it, if there is one.
    pub fn end_sample(&mut self) {
        if let Some((context, _)) = self.sample.take() {
            self.remove_context(context);
        }
    }

    /// A code object was entered by nobody's work that is a sample. Gives its first line where that is news to nobody's work, or to the sample.
    pub fn enter_for_sample(&mut self, id: CodeId, way: Way) -> (Entry, Option<Fresh>) {
        let sample = self.sample.filter(|_| !self.codes[id.index()].no_function);
        let Some((_, token)) = sample else { return self.enter_for_anyone(id, way) };
        let (entry, fresh) = self.enter(id, way, Some(token));
        if entry == Entry::Silence {
            return (entry, fresh);
        }
        let (entry, first) = self.enter_for_anyone(id, way);
        (entry, fresh.or(first))
    }
}
