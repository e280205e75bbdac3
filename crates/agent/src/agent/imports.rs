//! Imports within traced work.

use playtrace_ledger::{Record, UnitKind};
use playtrace_tracer::{Rearm, Token};

use super::{Agent, RunId, Unit, UnitId};
use crate::token;

impl Agent {
    /// An import begins in traced work: its code belongs to the run's import context. `None` inside another import.
    pub(crate) fn begin_import(&mut self, token: Token) -> Option<(RunId, Token, Rearm)> {
        let context = self.tracer.resolve(token)?;
        let id = *self.owners.get(&context)?;
        let run = self.runs.get_mut(&id)?;
        if context == run.import {
            return None;
        }
        run.imports += 1;
        let activation = self.tracer.activate(run.import);
        Some((id, activation.token, activation.rearm))
    }

    /// The import ended.
    pub(crate) fn end_import(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.imports = run.imports.saturating_sub(1);
            if run.imports == 0 {
                // While it runs it lacks nearly every line, and nothing could be silenced.
                self.tracer.deactivate(run.import);
            }
        }
    }

    /// The import is over, but something that it left behind may go on: that is a unit, which ends with the import's token.
    /// The import goes on with it.
    pub(crate) fn leave_import(&mut self, id: RunId) -> Option<UnitId> {
        let context = self.runs.get(&id)?.import;
        self.last_unit += 1;
        let (unit, kind) = (self.last_unit, UnitKind::Thread);
        let what = "what an import left behind".to_owned();
        let named = unit.to_string();
        let open =
            Record::Open { unit: named.clone(), kind, step: None, job: None, child: None, what, scope: None };
        self.append(id, &open).and_then(|()| self.append(id, &Record::Left { unit: named })).ok()?;
        self.runs.get_mut(&id)?.open += 1;
        self.units.insert(unit, Unit { run: id, context, kind, left: true });
        token::count_left(true);
        Some(unit)
    }
}
