//! Who may have a request traced: looked at before anything is done for it, and counted where it is not.

use std::collections::BTreeMap;
use std::path::Path;

use playtrace_grant::{Grant, Peer, Refusal, Signature, Wanted};
use playtrace_ledger::{Journal, Layout, Record, UnitKind};
use playtrace_model::RunToken;
use pyo3::prelude::*;

use crate::agent::Agent;
use crate::error::{AgentError, raise};
use crate::opening::{Part, Request};
use crate::run::now;
use crate::seen::Seen;
use crate::state::with_agent;

/// What is asked of those who want a request traced, and how many were refused.
#[derive(Debug)]
pub(crate) struct Gate {
    grant: Grant,
    seen: Seen,
    /// By code: what the boot record is told, how many there were, and how many it was told of. There are no more than there are codes.
    refused: BTreeMap<&'static str, (String, u64, u64)>,
}

impl Gate {
    pub(crate) fn new(grant: Grant, directory: &Path) -> Self {
        Self { grant, seen: Seen::new(directory), refused: BTreeMap::new() }
    }

    /// Counts one more; the number, if it is one that is told: the first, the tenth, the hundredth.
    fn count(&mut self, error: &AgentError) -> Option<u64> {
        let (_, count, _) = self.refused.entry(error.code()).or_insert_with(|| (summary(error), 0, 0));
        *count += 1;
        let mut power = *count;
        while power.is_multiple_of(10) {
            power /= 10;
        }
        (power == 1).then_some(*count)
    }

    /// This is a forked child: the parent counts its own.
    pub(crate) fn forget_counts(&mut self) {
        self.refused.clear();
    }
}

/// A sentence for all that have this code.
fn summary(error: &AgentError) -> String {
    match error {
        AgentError::HeaderSlug(_) => format!("X-Profile-Trace names no profile [{}]", error.code()),
        _ => error.told(),
    }
}

impl Agent {
    /// Lets a request in whose names were looked at, or says why not.
    fn let_in(
        &mut self,
        wanted: Wanted<'_>,
        peer: Peer<'_>,
        signature: Option<&str>,
    ) -> Result<(), AgentError> {
        let seconds = now() / 1000;
        let Some(good) = self.gate.grant.admit(wanted, peer, signature, seconds)? else { return Ok(()) };
        // Where there is no room, another middleware within this one must come to the same answer.
        let untokened = RunToken::untokened();
        self.check_room(wanted.slug, wanted.run.unwrap_or(&untokened), UnitKind::Request)?;
        self.use_up(&good, seconds)
    }

    fn use_up(&mut self, good: &Signature, seconds: u64) -> Result<(), AgentError> {
        if self.gate.seen.is_first(good, seconds)? {
            return Ok(());
        }
        Err(Refusal::Replayed.into())
    }

    /// Puts down in the boot record what was counted since it was last told.
    pub(crate) fn tell_refused(&mut self) -> Result<(), AgentError> {
        if self.gate.refused.values().all(|(_, count, told)| count == told) {
            return Ok(());
        }
        // A forked process has none of its own before.
        self.boot()?;
        let layout = Layout::new(&self.place()?.directory);
        for (reason, count, told) in self.gate.refused.values_mut() {
            if std::mem::replace(told, *count) != *count {
                let refused = Record::Refused { reason: reason.clone(), count: *count };
                Journal::add_to_boot(&layout, now(), refused)?;
            }
        }
        Ok(())
    }
}

/// Why a request is not let in, and how many were not, if that is to be said now.
pub(crate) type Refused = (String, Option<u64>);

/// Lets a request in, or says why not.
pub(crate) fn let_in(
    py: Python<'_>,
    wanted: Wanted<'_>,
    request: &impl Request,
) -> PyResult<Result<(), Refused>> {
    if with_agent(py, |agent| Ok(agent.gate.grant.is_open()))? {
        return Ok(Ok(()));
    }
    let (peer, signature) = (request.said(Part::Address)?, request.said(Part::Signature)?);
    let peer = peer.as_deref().map_or(Peer::Unknown, Peer::of);
    let let_in = with_agent(py, |agent| Ok(agent.let_in(wanted, peer, signature.as_deref())))?;
    match let_in {
        Ok(()) => Ok(Ok(())),
        Err(error @ AgentError::Refused(_)) => refuse(py, &error).map(Err),
        Err(error) => Err(raise(&error)),
    }
}

/// Counts a request that is refused: why, and what is to be said.
pub(crate) fn refuse(py: Python<'_>, error: &AgentError) -> PyResult<Refused> {
    with_agent(py, |agent| {
        let counted = agent.gate.count(error);
        if counted.is_some() {
            // Best effort: the log says it, too.
            let _ = agent.tell_refused();
        }
        Ok((error.told(), counted))
    })
}
