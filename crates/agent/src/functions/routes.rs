//! By which route real traffic enters what: told by whoever knows the framework.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};

use crate::current::{self, Kind};
use crate::monitor;
use crate::route::RouteObject;
use crate::state::with_agent;

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RouteObject>()?;
    module.add_function(wrap_pyfunction!(route, module)?)?;
    module.add_function(wrap_pyfunction!(enter_route, module)?)?;
    module.add_function(wrap_pyfunction!(leave_route, module)?)?;
    module.add_function(wrap_pyfunction!(leave_found_route, module)?)
}

/// What stands for a route, and whether it is worth keeping: all beyond the limit are one. `None` where real traffic is not recorded.
#[pyfunction]
fn route(py: Python<'_>, name: &str) -> PyResult<Option<(RouteObject, bool)>> {
    with_agent(py, |agent| Ok(agent.route(name).map(|(number, is_own)| (RouteObject::new(number), is_own))))
}

/// What runs from here on does so for a request of that route; traced work stays what it is. Answers with what `leave_route` is to be
/// given.
///
/// `here`: it all runs in this thread until then, one thing after the other. That is known without the variable, whose two changes cost
/// more than all the rest.
#[pyfunction]
fn enter_route(py: Python<'_>, route: &Bound<'_, RouteObject>, here: bool) -> PyResult<Py<PyAny>> {
    let number = route.get().number();
    if here && !with_agent(py, |agent| Ok(agent.count_route(number)))? {
        return Ok(current::set_route(Some(number)).into_pyobject(py)?.into_any().unbind());
    }
    // Asking runs no Python code.
    let held = current::value(py);
    let within = held.as_ref().and_then(|held| held.cast_exact::<RouteObject>().ok());
    // One method of a framework may call another one.
    let again = within.is_some_and(|within| within.get().number() == number);
    if again || current::token(py).is_some() || matches!(current::kind(py), Kind::Aside) {
        return Ok(false.into_pyobject(py)?.to_owned().into_any().unbind());
    }
    let due = here || with_agent(py, |agent| Ok(agent.count_route(number)))?;
    let sample = if due { with_agent(py, |agent| Ok(agent.begin_sample(number)))? } else { None };
    let before = (held,).into_pyobject(py)?.into_any().unbind();
    let Some((sample, rearm)) = sample else {
        current::put(py, Some(route.as_any()))?;
        return Ok(before);
    };
    let sampled = Bound::new(py, RouteObject::sampled(number, sample))?;
    current::put(py, Some(sampled.as_any()))?;
    monitor::rearm(py, &rearm);
    Ok(before)
}

/// The end of that; `before` is what `enter_route` answered.
#[pyfunction]
fn leave_route(py: Python<'_>, before: &Bound<'_, PyAny>) -> PyResult<()> {
    let Ok(held) = before.cast_exact::<PyTuple>() else {
        if !before.is_exact_instance_of::<PyBool>() {
            current::set_route(before.extract()?);
        }
        return Ok(());
    };
    let Some(value) = current::value(py) else { return Ok(()) };
    // Whoever changed it meanwhile knows better.
    let Ok(route) = value.cast_exact::<RouteObject>() else { return Ok(()) };
    let sample = route.get().sample();
    if sample != 0 {
        with_agent(py, |agent| {
            agent.leave_sample(sample);
            Ok(())
        })?;
    }
    current::put(py, Some(&held.get_item(0)?))
}

/// The end of whatever route was found since; `before` is what `held` answered then.
#[pyfunction]
#[pyo3(signature = (before))]
fn leave_found_route(py: Python<'_>, before: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    current::set_route(None);
    let Some(value) = current::value(py) else { return Ok(()) };
    if !value.is_exact_instance_of::<RouteObject>() || before.is_some_and(|before| before.is(&value)) {
        return Ok(());
    }
    leave_route(py, &(before,).into_pyobject(py)?.into_any())
}
