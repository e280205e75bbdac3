//! The scopes of runs: a context for each request, job, block or child process, where lines are recorded so finely.

use playtrace_ledger::{Granularity, Layout, Record, RunLedger, UnitKind};
use playtrace_tracer::{ContextId, Wants};

use super::{Agent, RunId, UnitSpec};

impl Agent {
    /// The scope that a request, job, block or child process has for itself; `None` where all share the profile's.
    pub(super) fn scope_name(&self, spec: &UnitSpec, run: RunId) -> Option<String> {
        if !self.granularity().by_unit() {
            return None;
        }
        Some(match (&spec.kind, &spec.job, &spec.scope, spec.step) {
            (UnitKind::Job, Some(job), function, _) => {
                let function = function.clone().or_else(|| self.function_of(run, job));
                format!("job:{}:{job}", function.as_deref().unwrap_or("?"))
            }
            (_, _, Some(scope), _) => scope.clone(),
            (_, _, None, Some(step)) => step.to_string(),
            (_, _, None, None) => format!("{}-{}", std::process::id(), self.last_unit + 1),
        })
    }

    /// What a job runs, as whoever enqueued it promised. (Asking the job would unpickle its arguments, which runs the
    /// app's code.)
    fn function_of(&self, run: RunId, job: &str) -> Option<String> {
        let (run, place) = (self.runs.get(&run)?, self.place.as_ref()?);
        let ledger = RunLedger::scan(&Layout::new(&place.directory), &run.slug, &run.token).ok()?;
        ledger.entries().find_map(|entry| match &entry.record {
            Record::Enqueue { job: known, function, .. } if known == job => Some(function.clone()),
            _ => None,
        })
    }

    /// The context of a scope, made if need be.
    pub(super) fn scope(&mut self, id: RunId, name: String) -> ContextId {
        let wants = if self.granularity() == Granularity::Steps { Wants::Entries } else { Wants::Lines };
        let Some(run) = self.runs.get_mut(&id) else { return self.tracer.add_context(wants, None) };
        if let Some(scope) = run.scope(&name) {
            return scope.context;
        }
        let lines_go_to = (wants == Wants::Entries).then_some(run.profile);
        let context = self.tracer.add_context(wants, lines_go_to);
        run.add_scope(context, name);
        self.owners.insert(context, id);
        context
    }

    /// A unit of a scope is gone; with the last one goes the scope.
    pub(super) fn leave_scope(&mut self, id: RunId, context: ContextId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(scope) = run.scope_of(context) else { return };
        scope.units = scope.units.saturating_sub(1);
        if scope.units == 0 {
            run.scopes.retain(|scope| scope.context != context);
            self.forget_context(context);
        }
    }

    /// The number of a context is used again.
    pub(super) fn forget_context(&mut self, context: ContextId) {
        self.kept = [None, None];
        self.owners.remove(&context);
        self.tracer.remove_context(context);
    }
}
