//! Lines that another engine collected: whose they become, and what such an engine can't see.

use playtrace_ledger::UnitKind;
use playtrace_tracer::{ContextId, Token};

use super::{Agent, RunId, UnitId};
use crate::engine::Collected;

impl Agent {
    /// Records lines as a context's, and those that an import ran as its run's import's. Files that are not of interest are left out.
    pub(crate) fn credit(&mut self, context: ContextId, collected: &Collected) {
        self.notice_fork();
        let import = self.import_of(context);
        for (imported, file, module, lines) in collected {
            let Some(id) = self.sources.decide_known(file, module.as_deref()) else { continue };
            let Self { tracer, credited, .. } = self;
            let code = *credited.entry(id).or_insert_with(|| tracer.add_code(id, 1));
            let context = if *imported { import } else { Some(context) };
            // A run that was switched off has no token.
            let Some(token) = context.and_then(|context| self.tracer.token_of(context)) else { continue };
            for line in lines {
                if let Some(fresh) = self.tracer.line(code, *line, token) {
                    self.keep(fresh);
                }
            }
        }
    }

    /// The import context of the run that a context belongs to.
    pub(crate) fn import_of(&self, context: ContextId) -> Option<ContextId> {
        Some(self.runs.get(self.owners.get(&context)?)?.import)
    }

    /// Whether a thread's unit of one of those contexts is open.
    pub(crate) fn has_open_threads(&self, contexts: &[ContextId]) -> bool {
        self.units.values().any(|unit| unit.kind == UnitKind::Thread && contexts.contains(&unit.context))
    }

    /// Threads of those contexts are not seen any more. Says whether there are any.
    pub(crate) fn miss_threads(&mut self, contexts: &[ContextId]) -> bool {
        let reason = "a thread that traced work had started went on while another run was traced: what it executed from then \
            on was not seen (the coverage engine traces one run at a time)";
        let mut at_work: Vec<RunId> = Vec::new();
        for unit in self.units.values() {
            if unit.kind == UnitKind::Thread && contexts.contains(&unit.context) {
                at_work.push(unit.run);
            }
        }
        let any = !at_work.is_empty();
        for id in at_work {
            self.lose_of(id, reason);
        }
        any
    }

    /// Work of a token runs that is not let in.
    pub(crate) fn miss_other(&mut self, token: Token) {
        let reason = "work went on after its request or job had ended, or while another run was traced: what it executed there \
            was not seen (the coverage engine traces one run at a time)";
        self.lose(token, reason);
    }

    /// A unit left something behind, which nothing tells when it goes on.
    pub(crate) fn miss_left(&mut self, unit: UnitId) {
        let reason = "something was left behind that may go on (a task, a timer, a stored context): what it executes is not seen \
            (the coverage engine)";
        if let Some(id) = self.units.get(&unit).map(|unit| unit.run) {
            self.lose_of(id, reason);
        }
    }
}
