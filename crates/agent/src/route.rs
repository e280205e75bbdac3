//! What the `ContextVar` holds for work that is nobody's, where it is known by which route it came.

use pyo3::prelude::*;

use crate::routes::Number;

/// A route. It names no context: who looks for one finds nobody's work.
#[pyclass(frozen, module = "playtrace_agent._native", name = "Route")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteObject {
    number: Number,
    /// Which sample this is; 0 where it is none.
    sample: u64,
}

impl RouteObject {
    pub(crate) const fn new(number: Number) -> Self {
        Self { number, sample: 0 }
    }

    pub(crate) const fn sampled(number: Number, sample: u64) -> Self {
        Self { number, sample }
    }

    pub(crate) const fn number(self) -> Number {
        self.number
    }

    pub(crate) const fn sample(self) -> u64 {
        self.sample
    }
}
