//! The glue between CPython's `sys.monitoring` and playtrace's tracer: the module `playtrace_agent._native`.
//!
//! Everything that decides something is elsewhere: which places go on being reported in the tracer, how shards look in
//! covdata, what is promised in the ledger. Here is what needs the interpreter ([`monitor`], [`current`], [`imports`])
//! and the state of one process ([`agent`]).

mod agent;
mod asked;
mod behind;
mod block;
mod body;
mod callable;
mod callbacks;
mod calling;
mod cell;
mod contexts;
mod current;
mod dispatching;
mod due;
mod ending;
mod engine;
mod entered;
mod error;
mod frames;
mod functions;
mod gate;
mod greenlets;
mod imports;
mod jobs;
mod listening;
mod method;
mod monitor;
mod names;
mod number;
mod opening;
mod passing;
mod registry;
mod request;
mod room;
mod route;
mod routes;
mod run;
mod scope;
mod seen;
mod sources;
mod state;
mod stretch;
mod token;
mod trails;
mod unflushed;
mod untold;

use pyo3::prelude::*;

use crate::engine::OwnerObject;
use crate::error::{FullError, SwitchedOffError, TraceError};
use crate::token::TokenObject;

/// The native part of the agent.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    names::prepare(py);
    number::prepare(py)?;
    // Asked for where nothing of Python's may run.
    py.import("gc")?;
    current::create(py)?;
    module.add("TraceError", py.get_type::<TraceError>())?;
    module.add_class::<TokenObject>()?;
    module.add_class::<OwnerObject>()?;
    body::add_to(module)?;
    block::add_to(module)?;
    module.add("FullError", py.get_type::<FullError>())?;
    module.add("SwitchedOffError", py.get_type::<SwitchedOffError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    functions::add_to(module)?;
    calling::add_to(module)?;
    ending::add_to(module)?;
    contexts::add_to(module)?;
    greenlets::add_to(module)?;
    passing::add_to(module)?;
    dispatching::add_to(module)?;
    opening::add_to(module)?;
    scope::add_to(module)?;
    request::add_to(module)
}
