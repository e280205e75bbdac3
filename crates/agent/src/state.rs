//! The state of this process, and how to reach it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::agent::{Agent, UnitId};
use crate::cell::AttachedCell;
use crate::error::{AgentError, raise};
use crate::monitor::Monitor;
use crate::registry::Objects;
use crate::stretch;
use crate::token::TokenObject;

/// The state of this process.
pub(crate) struct State {
    pub(crate) agent: Option<Agent>,
    pub(crate) monitor: Option<Arc<Monitor>>,
    /// What reports lines in the monitor's place.
    pub(crate) engine: Option<Py<PyAny>>,
    pub(crate) listening: Listening,
    pub(crate) objects: Objects,
    /// The tokens of the units that are under way.
    pub(crate) tokens: BTreeMap<UnitId, Py<TokenObject>>,
}

/// Whether the interpreter reports to us.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listening {
    Not,
    /// A thread is at it.
    Begins,
    Yes,
}

/// The state. Whoever comes to it ends the stretches of lines whose places are kept from one to the next ([`stretch`]).
pub(crate) struct StateCell(AttachedCell<State>);

impl StateCell {
    /// As [`AttachedCell::with`].
    #[inline]
    pub(crate) fn with<R>(&self, py: Python<'_>, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        stretch::end();
        self.0.with(py, f)
    }

    /// The same where nothing of it moves: what is kept of stretches stays good.
    ///
    /// # Safety
    /// `f` must not move, free or reallocate what a [stretch](playtrace_tracer::Stretch) leads to: nothing but numbers and bits is
    /// written, and lists that no stretch is of grow.
    #[inline]
    pub(crate) unsafe fn with_places<R>(&self, py: Python<'_>, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.0.with(py, f)
    }
}

pub(crate) static AGENT: StateCell = StateCell(AttachedCell::new(State {
    agent: None,
    monitor: None,
    engine: None,
    listening: Listening::Not,
    objects: Objects::new(),
    tokens: BTreeMap::new(),
}));

/// Runs `f` on the configured agent.
pub(crate) fn with_agent<R>(
    py: Python<'_>,
    f: impl FnOnce(&mut Agent) -> Result<R, AgentError>,
) -> PyResult<R> {
    AGENT
        .with(py, |state| state.agent.as_mut().map_or(Err(AgentError::NotConfigured), f))
        .unwrap_or(Err(AgentError::NotConfigured))
        .map_err(|error| raise(&error))
}

/// A unit's token, while it is open.
pub(crate) fn token_of(py: Python<'_>, unit: UnitId) -> Option<Bound<'_, PyAny>> {
    let token = AGENT.with(py, |state| state.tokens.get(&unit).map(|token| token.clone_ref(py))).flatten();
    token.map(|token| token.into_bound(py).into_any())
}
