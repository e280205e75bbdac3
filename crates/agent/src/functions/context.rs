//! What the running code belongs to.

use pyo3::prelude::*;

use crate::current;
use crate::route::RouteObject;
use crate::state::{token_of, with_agent};
use crate::token::TokenObject;

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(held, module)?)?;
    module.add_function(wrap_pyfunction!(hold, module)?)?;
    module.add_function(wrap_pyfunction!(enter, module)?)?;
    module.add_function(wrap_pyfunction!(traced, module)?)?;
    module.add_function(wrap_pyfunction!(current_run, module)?)?;
    Ok(())
}

/// What the running code's context holds: a token, `None`, or `Ellipsis` where it knows nothing of us. For `hold` and `enter`.
#[pyfunction]
fn held(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    current::value(py)
}

/// Sets that, for code that is about to be called and comes back: what the thread works for stays the same. `False` is nobody's, too, and no
/// traffic either: what `anyone` does not get.
///
/// A signal's handler may raise as soon as this returns: ask `held` before a `try` block, and call this within it.
#[pyfunction]
#[pyo3(signature = (to))]
fn hold(py: Python<'_>, to: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    current::put(py, named(py, to)?.as_ref())
}

/// Lets the running code belong to `to`: a unit's number, what `held` answered, or `None` (nobody). Answers with what `held`
/// would have answered.
///
/// For callers under which nothing that is running now goes on: a function that calls another one and then goes back.
#[pyfunction]
#[pyo3(signature = (to))]
fn enter<'py>(py: Python<'py>, to: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let before = current::value(py);
    current::enter(py, named(py, to)?.as_ref())?;
    Ok(before)
}

/// What the variable is to hold for `to`.
fn named<'py>(py: Python<'py>, to: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(to) = to else { return Ok(None) };
    let is_held = to.is_instance_of::<TokenObject>() || to.is_instance_of::<RouteObject>();
    if is_held || to.is(py.Ellipsis()) || current::is_no_traffic(to) {
        return Ok(Some(to.clone()));
    }
    Ok(token_of(py, to.extract()?))
}

/// Whether the running code is traced.
#[pyfunction]
fn traced(py: Python<'_>) -> bool {
    current::token(py).is_some()
}

/// Slug and run (`None` for the untokened one) of the running code.
#[pyfunction]
fn current_run(py: Python<'_>) -> PyResult<Option<(String, Option<String>)>> {
    let Some(token) = current::token(py) else { return Ok(None) };
    with_agent(py, |agent| {
        Ok(agent.run_of(token).map(|run| {
            let token = (!run.token.is_untokened()).then(|| run.token.as_str().to_owned());
            (run.slug.as_str().to_owned(), token)
        }))
    })
}
