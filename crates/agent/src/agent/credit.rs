//! Lines that another engine collected: whose they become, and what such an engine can't see.

use playtrace_tracer::Token;

use super::{Agent, UnitId};
use crate::engine::Owner;

impl Agent {
    /// Whose lines those of a token are.
    pub(crate) fn owner_of(&self, token: Token) -> Option<Owner> {
        let context = self.tracer.resolve(token)?;
        Some(Owner { run: *self.owners.get(&context)?, context, elsewhere: false })
    }

    /// Records lines of a file as those of their owner, unless the file is not of interest.
    pub(crate) fn credit(&mut self, owner: Owner, file: &str, module: Option<&str>, lines: &[u32]) {
        self.notice_fork();
        // A context's number is used again when it is gone.
        if self.owners.get(&owner.context) != Some(&owner.run) {
            return;
        }
        let Some(id) = self.sources.decide_known(file, module) else { return };
        let Self { tracer, credited, .. } = self;
        let code = *credited.entry(id).or_insert_with(|| tracer.add_code(id, 1));
        // A run that was switched off has no token.
        let Some(token) = tracer.token_of(owner.context) else { return };
        if owner.elsewhere {
            for line in lines {
                self.miss_line(code, *line, token);
            }
            return;
        }
        for line in lines {
            if let Some(fresh) = self.tracer.line(code, *line, token) {
                self.keep(fresh);
            }
        }
    }

    /// A unit left something behind, which nothing tells when it goes on.
    pub(crate) fn miss_left(&mut self, unit: UnitId) {
        let reason = "something was left behind that may go on (a greenlet; a task, a timer, a stored context): what it executes is not \
            seen (the coverage engine)";
        if let Some(id) = self.units.get(&unit).map(|unit| unit.run) {
            self.lose_of(id, reason);
        }
    }
}
