//! What the `ContextVar` holds: an object for each unit of work, so that its end shows that no work of the unit is
//! left.
//!
//! A copied context (an asyncio task's, a timer's) holds the object too. While one does, work may yet run under it, in
//! whatever thread; when the last one is gone, none can.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use playtrace_tracer::Token;
use pyo3::prelude::*;

use crate::agent::UnitId;
use crate::cell::AttachedCell;
use crate::current;
use crate::state::AGENT;

/// How many units are over but for what they left behind. Nearly always none, and then the end of a token is nothing.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// Units of which nothing is left, found at a moment at which nothing could be done about it.
static GONE: AttachedCell<Vec<UnitId>> = AttachedCell::new(Vec::new());

/// A run's, and one more for each token object of its units: as long as the run's is not the only one, its work may go on.
pub(crate) type Holders = Arc<()>;

/// A unit's token, as the `ContextVar` holds it.
#[pyclass(frozen, module = "playtrace_agent._native", name = "Token")]
pub(crate) struct TokenObject {
    /// 0 is none: an import's, until it has left something behind.
    unit: AtomicU64,
    token: Token,
    /// Of the unit's run; an import's token has none.
    _holders: Option<Holders>,
}

impl TokenObject {
    pub(crate) fn new(unit: UnitId, token: Token, holders: Option<Holders>) -> Self {
        Self { unit: AtomicU64::new(unit), token, _holders: holders }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Its end is the end of that unit from now on.
    pub(crate) fn belongs_to(&self, unit: UnitId) {
        self.unit.store(unit, Ordering::Relaxed);
    }
}

#[pymethods]
impl TokenObject {
    /// Names one activation of one context: the same for units that share it, another one when the context has rested.
    #[getter]
    fn number(&self) -> u64 {
        self.token.raw()
    }
}

impl Drop for TokenObject {
    fn drop(&mut self) {
        current::meanings_change();
        if LEFT.load(Ordering::Relaxed) == 0 {
            return;
        }
        let unit = *self.unit.get_mut();
        // A panic must not leave a deallocation.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            Python::attach(|py| {
                let settled = AGENT.with(py, |state| {
                    if let Some(agent) = state.agent.as_mut() {
                        agent.settle(unit);
                    }
                });
                if settled.is_none() {
                    GONE.with(py, |gone| gone.push(unit));
                }
            });
        }));
    }
}

/// A unit is over, and something holds its token: `by` one more, or one less.
pub(crate) fn count_left(more: bool) {
    if more {
        LEFT.fetch_add(1, Ordering::Relaxed);
    } else {
        let _ = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    }
}

/// Whether any unit is over but for what it left behind.
pub(crate) fn any_left() -> bool {
    LEFT.load(Ordering::Relaxed) > 0
}

/// In a forked child: what is left is the parent's.
pub(crate) fn forget_left(py: Python<'_>) {
    LEFT.store(0, Ordering::Relaxed);
    GONE.with(py, Vec::clear);
}

/// Settles the units whose end was found at a bad moment.
pub(crate) fn settle_gone(py: Python<'_>) {
    if LEFT.load(Ordering::Relaxed) == 0 {
        return;
    }
    for unit in GONE.with(py, std::mem::take).unwrap_or_default() {
        AGENT.with(py, |state| state.agent.as_mut().map(|agent| agent.settle(unit)));
    }
}
