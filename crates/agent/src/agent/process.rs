//! The process that the agent lives in: children that it starts, its end, and what a fork leaves of it.

use playtrace_ledger::{ProcessId, Record, UnitKind};
use playtrace_tracer::{Rearm, Token};

use super::{Agent, Promised, RunId, Unit, UnitId};
use crate::error::AgentError;
use crate::run::Written;
use crate::unflushed;

impl Agent {
    /// Says that a child process is about to be started by the token's work; answers with the child's own token.
    pub(crate) fn spawn(&mut self, token: Token, command: String, python: bool) -> Option<Promised> {
        let context = self.tracer.resolve(token)?;
        let id = *self.owners.get(&context)?;
        self.last_child += 1;
        let process = ProcessId::current();
        let child = format!("{}-{}-{}", process.pid, process.start, self.last_child);
        self.append(id, &Record::Spawn { child: child.clone(), command, python }).ok()?;
        let run = self.runs.get_mut(&id)?;
        let scope = run.scope_of(context).map(|scope| scope.name.clone());
        Some(Promised { child, slug: run.slug.clone(), run: run.token.clone(), scope })
    }

    /// Makes a unit the one that ends with the process.
    pub(crate) fn set_process_unit(&mut self, unit: UnitId) {
        self.process_unit = Some(unit);
    }

    /// The process ends: closes its unit and writes what is left.
    pub(crate) fn finish(&mut self) -> Vec<Result<Option<Written>, AgentError>> {
        // Threads that still run now are daemons: the end of the process is theirs. Requests are cut off, and stay open.
        // So is it of what a unit left behind.
        let over = |unit: &Unit| unit.left || unit.kind == UnitKind::Thread;
        let daemons = self.units.iter().filter(|(_, unit)| over(unit)).map(|(id, _)| *id);
        let ending: Vec<UnitId> = daemons.chain(self.process_unit.take()).collect();
        let mut results: Vec<_> = ending.into_iter().map(|unit| self.put_down(unit)).collect();
        results.extend(self.flush_all());
        // Best effort: it was said in the log.
        let _ = self.tell_refused();
        results
    }

    /// Looks whether this is a forked child that nobody has told of it yet: hooks of the fork may run before ours. What was executed
    /// until the fork, the parent tells.
    #[inline]
    pub(crate) fn notice_fork(&mut self) {
        let forks = unflushed::forks();
        if std::mem::replace(&mut self.forks, forks) != forks {
            self.tracer.forget_fresh();
        }
    }

    /// Whether there is no fork to notice.
    #[inline]
    pub(crate) fn has_noticed_forks(&self) -> bool {
        self.forks == unflushed::forks()
    }

    /// This is a forked child now. What is open belongs to the parent; the run of `token` goes on here with nothing
    /// seen. Answers with whether there is one, and the code objects to arm again.
    pub(crate) fn after_fork(&mut self, token: Option<Token>) -> (bool, Rearm) {
        self.notice_fork();
        self.fork_anyone();
        let context = token.and_then(|token| self.tracer.resolve(token));
        let kept = context.and_then(|context| self.owners.get(&context).copied());
        // Imports that the units kept open are the parent's; the one around the fork, if any, goes on here.
        for unit in std::mem::take(&mut self.units).into_values() {
            if let Some(run) = self.runs.get_mut(&unit.run).filter(|run| run.import == unit.context) {
                run.imports = run.imports.saturating_sub(1);
            }
        }
        self.process_unit = None;
        self.booted = false;
        self.gate.forget_counts();
        // What went wrong there is the parent's to say.
        self.unsaid.clear();
        // The maps are the parent's.
        self.kept = [None, None];
        self.trails.clear();
        let ids: Vec<RunId> = self.runs.keys().copied().filter(|id| Some(*id) != kept).collect();
        for id in ids {
            if let Some(run) = self.remove_run(id) {
                run.abandon();
            }
        }
        let run = kept.and_then(|id| self.runs.get_mut(&id));
        let contexts = run.map(|run| {
            run.start_over();
            // Other requests' scopes are the parent's, like their units.
            run.scopes.retain(|scope| Some(scope.context) == context);
            for scope in &mut run.scopes {
                scope.units = 0;
            }
            run.contexts().collect::<Vec<_>>()
        });
        let rearm = self.tracer.after_fork(contexts.as_deref().unwrap_or_default());
        self.owners.retain(|context, _| contexts.iter().flatten().any(|kept| kept == context));
        (kept.is_some(), rearm)
    }
}
