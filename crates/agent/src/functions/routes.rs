//! By which route real traffic enters what: told by whoever knows the framework.

use pyo3::prelude::*;

use crate::current::{self, Kind};
use crate::monitor;
use crate::route::RouteObject;
use crate::state::with_agent;

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RouteObject>()?;
    module.add_function(wrap_pyfunction!(route, module)?)?;
    module.add_function(wrap_pyfunction!(enter_route, module)?)?;
    module.add_function(wrap_pyfunction!(leave_route, module)?)
}

/// What stands for a route, and whether it is worth keeping: all beyond the limit are one. `None` where real traffic is not recorded.
#[pyfunction]
fn route(py: Python<'_>, name: &str) -> PyResult<Option<(RouteObject, bool)>> {
    with_agent(py, |agent| Ok(agent.route(name).map(|(number, is_own)| (RouteObject::new(number), is_own))))
}

/// What runs from here on does so for a request of that route; traced work stays what it is. To be undone by `leave_route`.
#[pyfunction]
fn enter_route(py: Python<'_>, route: &Bound<'_, RouteObject>) -> PyResult<()> {
    if current::token(py).is_some() || matches!(current::kind(py), Kind::Aside) {
        return Ok(());
    }
    let number = route.get().number();
    // One method of a framework may call another one.
    let held = current::value(py);
    let within = held.as_ref().and_then(|held| held.cast_exact::<RouteObject>().ok());
    if within.is_some_and(|within| within.get().number() == number) {
        return Ok(());
    }
    let Some((sample, rearm)) = with_agent(py, |agent| Ok(agent.enter_route(number)))? else {
        return current::put(py, Some(route.as_any()));
    };
    let sampled = Bound::new(py, RouteObject::sampled(number, sample))?;
    current::put(py, Some(sampled.as_any()))?;
    monitor::rearm(py, &rearm);
    Ok(())
}

/// The end of that; `before` is what `held` answered before.
#[pyfunction]
#[pyo3(signature = (before))]
fn leave_route(py: Python<'_>, before: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let Some(value) = current::value(py) else { return Ok(()) };
    // Whoever changed it meanwhile knows better; and where no route was found, there is nothing to undo.
    let Ok(route) = value.cast_exact::<RouteObject>() else { return Ok(()) };
    if before.is_some_and(|before| before.is(&value)) {
        return Ok(());
    }
    let sample = route.get().sample();
    if sample != 0 {
        with_agent(py, |agent| {
            agent.leave_sample(sample);
            Ok(())
        })?;
    }
    current::put(py, before)
}
