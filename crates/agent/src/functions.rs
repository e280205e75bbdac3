//! What the package's Python code calls, by what it is about.

mod context;
mod jobs;
mod process;
mod routes;
mod setup;
pub(crate) mod units;

use playtrace_model::{RunToken, Slug};
use pyo3::prelude::*;

use crate::error::raise;

fn parse_names(slug: &str, run: Option<&str>) -> PyResult<(Slug, RunToken)> {
    let slug = Slug::parse(slug).map_err(|error| raise(&error.into()))?;
    let run = run.map_or_else(|| Ok(RunToken::untokened()), RunToken::parse);
    Ok((slug, run.map_err(|error| raise(&error.into()))?))
}

/// Adds them to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    setup::add_to(module)?;
    units::add_to(module)?;
    context::add_to(module)?;
    jobs::add_to(module)?;
    process::add_to(module)?;
    routes::add_to(module)
}
