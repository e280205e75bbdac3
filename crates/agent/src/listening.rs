//! When the process begins to listen: at its first traced work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use playtrace_ledger::Granularity;
use pyo3::prelude::*;

use crate::engine;
use crate::error::{AgentError, raise};
use crate::monitor::Monitor;
use crate::registry;
use crate::state::{AGENT, Listening};
use crate::untold;

/// Taking the tools and looking at all frames takes some milliseconds.
const STARTING: Duration = Duration::from_secs(5);

/// Takes the tool ids at the first traced work of the process, and looks at what runs at that moment. Who comes while another thread is at
/// it waits: what runs in its own frames may not be known yet. (By asking again: a lock would stay locked in a child that is forked
/// meanwhile.)
pub(crate) fn start_monitor(py: Python<'_>) -> PyResult<()> {
    if engine::is_present() {
        return Ok(());
    }
    let deadline = Instant::now() + STARTING;
    loop {
        let found = AGENT.with(py, |state| match state.listening {
            Listening::Not => {
                state.listening = Listening::Begins;
                Listening::Not
            }
            other => other,
        });
        match found {
            Some(Listening::Not) => break,
            Some(Listening::Begins) if Instant::now() < deadline => {
                py.detach(|| std::thread::sleep(Duration::from_millis(1)));
            }
            Some(Listening::Begins) => {
                let reason = "another thread has begun to listen and does not get on".to_owned();
                return Err(raise(&AgentError::Monitoring { reason }));
            }
            Some(Listening::Yes) | None => return Ok(()),
        }
    }
    let listening = listen(py);
    let now = if listening.is_ok() { Listening::Yes } else { Listening::Not };
    AGENT.with(py, |state| state.listening = now);
    listening
}

fn listen(py: Python<'_>) -> PyResult<()> {
    if let Some(reason) = untold::refusal(py)? {
        return Err(raise(&AgentError::Monitoring { reason }));
    }
    let granularity = AGENT.with(py, |state| {
        let place = state.agent.as_ref().and_then(|agent| agent.place.as_ref());
        place.map(|place| place.granularity).unwrap_or_default()
    });
    let lines = granularity != Some(Granularity::Symbol);
    if AGENT.with(py, |state| state.monitor.is_none()) == Some(true) {
        let monitor = Monitor::start(py, lines).map_err(|error| raise(&error))?;
        AGENT.with(py, |state| state.monitor = Some(Arc::new(monitor)));
    }
    registry::scout_running(py)
}
