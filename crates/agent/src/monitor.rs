//! `sys.monitoring`: two tools, and arming code objects.
//!
//! The *scout* listens everywhere for a code object's first run, decides by its file, and silences itself there.
//! The *reader* listens only within code of interest. `docs/adr/0003-two-monitoring-tools.md` tells why it takes two.

use std::ops::ControlFlow;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use playtrace_tracer::{Arm, CodeId, Disarm, Token};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::Agent;
use crate::callable::{Callables, Function};
use crate::error::AgentError;
use crate::frames::Frames;
use crate::state::AGENT;
use crate::{callbacks, entered, frames, registry};

const SCOUT: &str = "playtrace scout";
const READER: &str = "playtrace reader";
/// The ids that have no customary owner first; 0, the debugger's, is never taken.
const TOOL_IDS: [u8; 5] = [3, 4, 2, 5, 1];

/// `sys.monitoring.DISABLE`. Kept for ever: events arrive while the interpreter shuts down.
pub(crate) static DISABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// What arming needs, once the tools are taken. The numbers are Python's, made once.
pub(crate) struct Monitor {
    set_local_events: Py<PyAny>,
    reader: Py<PyAny>,
    nothing: Py<PyAny>,
    lines: Py<PyAny>,
    entries: Py<PyAny>,
    everything: Py<PyAny>,
    pub(crate) frames: Frames,
    /// The number of `RESUME`, which ends the beginning of a code object.
    pub(crate) resume_opcode: u8,
}

impl Monitor {
    /// Takes two tool ids and begins to listen for first runs. Without `lines`, entries are all that is wanted.
    pub(crate) fn start(py: Python<'_>, lines: bool) -> Result<Self, AgentError> {
        let monitoring = py.import("sys").and_then(|sys| sys.getattr("monitoring")).map_err(|_| {
            AgentError::Monitoring {
                reason: "this Python has no sys.monitoring: CPython 3.12 or newer is needed".to_owned(),
            }
        })?;
        Self::take_tools(&monitoring, lines)
            .map_err(|error| AgentError::Monitoring { reason: error.to_string() })
    }

    fn take_tools(monitoring: &Bound<'_, PyAny>, lines: bool) -> PyResult<Self> {
        let py = monitoring.py();
        let mut free = Vec::new();
        for id in TOOL_IDS {
            if monitoring.call_method1("get_tool", (id,))?.is_none() {
                free.push(id);
            }
        }
        let &[scout, reader, ..] = free.as_slice() else {
            return Err(pyo3::exceptions::PyRuntimeError::new_err(
                "sys.monitoring has fewer than two free tools: profilers, debuggers or coverage tools hold them",
            ));
        };
        let resume_opcode = py.import("opcode")?.getattr("opmap")?.get_item("RESUME")?.extract()?;
        let names = monitoring.getattr("events")?;
        let event = |name: &str| -> PyResult<i64> { names.getattr(name)?.extract() };
        let (start, resume) = (event("PY_START")?, event("PY_RESUME")?);
        let (throw, line) = (event("PY_THROW")?, event("LINE")?);
        DISABLE.store(monitoring.getattr("DISABLE")?.unbind().into_ptr(), Ordering::Relaxed);
        monitoring.call_method1("use_tool_id", (scout, SCOUT))?;
        monitoring.call_method1("use_tool_id", (reader, READER))?;
        let callables = Callables::new(py)?;
        for (tool, event, callback) in [
            (scout, start, callbacks::on_first as Function),
            (scout, resume, callbacks::on_first_resume),
            (scout, throw, callbacks::on_throw),
            (reader, start, callbacks::on_start),
            (reader, resume, callbacks::on_resume),
            (reader, line, callbacks::on_line),
        ] {
            monitoring.call_method1("register_callback", (tool, event, callables.of(callback)?))?;
        }
        monitoring.call_method1("set_events", (scout, start | resume | throw))?;
        let number = |value: i64| value.into_pyobject(py).map(|number| number.into_any().unbind());
        let lines = if lines { line } else { 0 };
        Ok(Self {
            set_local_events: monitoring.getattr("set_local_events")?.unbind(),
            reader: number(i64::from(reader))?,
            nothing: number(0)?,
            lines: number(lines)?,
            entries: number(start | resume)?,
            everything: number(start | resume | lines)?,
            frames: Frames::find(py)?,
            resume_opcode,
        })
    }

    /// Makes the interpreter report every place of code that was never armed, or its entries alone; says whether that is worth another try later.
    #[must_use]
    pub(crate) fn arm_new(&self, code: &Bound<'_, PyAny>, lines: bool) -> bool {
        self.set(code, if lines { &self.everything } else { &self.entries })
    }

    /// Makes it report places again, also those that were silenced.
    ///
    /// Events that are set already are not set again, so they are taken away first. In between, no Python code runs and
    /// the interpreter's lock stays held: no event is missed. Says whether it failed for want of stack or memory.
    #[must_use]
    fn arm(&self, code: &Bound<'_, PyAny>, arm: Arm) -> bool {
        let (before, after) = match arm {
            Arm::Everything => (&self.nothing, &self.everything),
            Arm::Entries { lines: true } => (&self.lines, &self.everything),
            Arm::Entries { lines: false } => (&self.nothing, &self.entries),
        };
        let unset = self.set(code, before);
        self.set(code, after) || unset
    }

    /// Says whether it failed for want of stack or memory.
    fn set(&self, code: &Bound<'_, PyAny>, events: &Py<PyAny>) -> bool {
        let py = code.py();
        let null = null_mut::<ffi::PyObject>();
        // SAFETY: the lock is held, all arguments are objects that live as long as the call, and a null pointer ends them. The result
        // is ours; the error that may stand for it is cleared: some Cython shims refuse (SystemError), and have no
        // lines to report.
        unsafe {
            let (reader, code, events) = (self.reader.as_ptr(), code.as_ptr(), events.as_ptr());
            let set = self.set_local_events.as_ptr();
            let result = ffi::PyObject_CallFunctionObjArgs(set, reader, code, events, null);
            if Bound::from_owned_ptr_or_opt(py, result).is_some() {
                return false;
            }
            let stack = ffi::PyErr_ExceptionMatches(ffi::PyExc_RecursionError) != 0;
            let memory = ffi::PyErr_ExceptionMatches(ffi::PyExc_MemoryError) != 0;
            ffi::PyErr_Clear();
            stack || memory
        }
    }
}

/// Arms registered code objects again. Where the stack or memory ends, what they execute is lost, and the verdicts say so.
pub(crate) fn rearm(py: Python<'_>, codes: &[(CodeId, Arm)]) {
    let ids = codes.iter().map(|(id, _)| *id);
    let Some((monitor, objects)) = objects_of(py, ids) else { return };
    let mut failed = false;
    for (code, (_, arm)) in objects.iter().zip(codes) {
        failed |= code.as_ref().is_some_and(|code| monitor.arm(code, *arm));
    }
    if failed {
        AGENT.with(py, |state| state.agent.as_mut().map(Agent::miss_rearmed));
    }
}

/// Stops listening to registered code objects: without any local event, the interpreter runs them as if they had never been
/// traced. (A place that is silenced one by one may stay slower: one-line loops do.)
pub(crate) fn disarm(py: Python<'_>, codes: &[(CodeId, Disarm)]) {
    if let Some((monitor, objects)) = objects_of(py, codes.iter().map(|(id, _)| *id)) {
        for (code, (_, disarm)) in objects.iter().zip(codes) {
            let Some(code) = code else { continue };
            match disarm {
                Disarm::Everything => monitor.set(code, &monitor.nothing),
                Disarm::Lines => monitor.set(code, &monitor.entries),
            };
        }
    }
}

/// Takes the line event away from a code object whose lines nobody lacks.
pub(crate) fn silence_lines(py: Python<'_>, id: CodeId) {
    if let Some((monitor, objects)) = objects_of(py, std::iter::once(id)) {
        for code in objects.iter().flatten() {
            monitor.set(code, &monitor.entries);
        }
    }
}

/// The monitor, and the code objects of those numbers.
#[allow(clippy::type_complexity)] // a pair, for one use
fn objects_of(
    py: Python<'_>,
    codes: impl ExactSizeIterator<Item = CodeId>,
) -> Option<(Arc<Monitor>, Vec<Option<Bound<'_, PyAny>>>)> {
    if codes.len() == 0 {
        return None;
    }
    AGENT
        .with(py, |state| {
            let monitor = state.monitor.clone()?;
            let objects = codes.map(|id| state.objects.get(id).map(|code| code.bind(py).clone()));
            Some((monitor, objects.collect()))
        })
        .flatten()
}

/// The work of `token` goes on in the frames that are running: those of interest must report what it lacks.
pub(crate) fn rearm_stack(py: Python<'_>, token: Token) {
    let greenlets = entered::greenlets();
    let any_code = AGENT.with(py, |state| !state.objects.is_empty()).unwrap_or(false);
    if !any_code && !greenlets {
        return;
    }
    let Some(monitor) = AGENT.with(py, |state| state.monitor.clone()).flatten() else { return };
    let innermost = frames::innermost(py);
    let _ = monitor.frames.outwards(innermost, &mut |frame, code| {
        if greenlets {
            // It may have waited, seen by nobody, when the process began to listen.
            registry::scout_frame(frame, code);
        }
        let needed = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            let id = *agent.codes.get(&(code.as_ptr() as usize))?;
            agent.tracer.goes_on(id, token).then_some(id)
        });
        if let Some(id) = needed.flatten() {
            rearm(py, &[(id, Arm::Everything)]);
        }
        ControlFlow::Continue(())
    });
}
