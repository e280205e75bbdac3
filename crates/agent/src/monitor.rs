//! `sys.monitoring`: two tools, their callbacks, and arming code objects.
//!
//! The *scout* listens everywhere for a code object's first run, decides by its file, and silences itself there.
//! The *reader* listens only within code of interest. `docs/adr/0003-two-monitoring-tools.md` tells why it takes two.

use std::ffi::{CStr, c_long};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use playtrace_tracer::{CodeId, Entry, FileId, Token, Verdict};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::AgentError;
use crate::sources::Known;
use crate::{AGENT, current};

const SCOUT: &str = "playtrace scout";
const READER: &str = "playtrace reader";
/// The ids that have no customary owner first; 0, the debugger's, is never taken.
const TOOL_IDS: [u8; 5] = [3, 4, 2, 5, 1];

/// `sys.monitoring.DISABLE`. Kept for ever: events arrive while the interpreter shuts down.
static DISABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// What arming needs, once the tools are taken.
pub(crate) struct Monitor {
    set_local_events: Py<PyAny>,
    set_events: Py<PyAny>,
    scout: u8,
    reader: u8,
    events: i64,
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
        let names = monitoring.getattr("events")?;
        let event = |name: &str| -> PyResult<i64> { names.getattr(name)?.extract() };
        let (start, resume) = (event("PY_START")?, event("PY_RESUME")?);
        let (throw, line) = (event("PY_THROW")?, event("LINE")?);
        DISABLE.store(monitoring.getattr("DISABLE")?.unbind().into_ptr(), Ordering::Relaxed);
        monitoring.call_method1("use_tool_id", (scout, SCOUT))?;
        monitoring.call_method1("use_tool_id", (reader, READER))?;
        for (tool, event, name, callback) in [
            (scout, start, c"playtrace_first", on_first as ffi::PyCFunctionFast),
            (scout, resume, c"playtrace_first", on_first),
            (scout, throw, c"playtrace_throw", on_throw),
            (reader, start, c"playtrace_start", on_start),
            (reader, resume, c"playtrace_resume", on_resume),
            (reader, line, c"playtrace_line", on_line),
        ] {
            monitoring.call_method1("register_callback", (tool, event, function(py, name, callback)?))?;
        }
        let set_events = monitoring.getattr("set_events")?;
        set_events.call1((scout, start | resume | throw))?;
        Ok(Self {
            set_local_events: monitoring.getattr("set_local_events")?.unbind(),
            set_events: set_events.unbind(),
            scout,
            reader,
            events: start | resume | if lines { line } else { 0 },
        })
    }

    /// Stops listening: the process ends.
    pub(crate) fn stop(&self, py: Python<'_>) {
        // There is nobody to tell if the interpreter is too far gone for it.
        let _ = self.set_events.call1(py, (self.scout, 0));
    }

    /// Makes the interpreter report every place of `code`, also those that were silenced.
    ///
    /// Events that are set already are not set again, so they are taken away first. In between, no Python code runs and
    /// the interpreter's lock stays held: no event is missed.
    fn arm(&self, code: &Bound<'_, PyAny>) {
        for events in [0, self.events] {
            // Some Cython shims refuse (SystemError); they have no lines to report.
            let _ = self.set_local_events.call1(code.py(), (self.reader, code, events));
        }
    }
}

/// A built-in function without a Python frame.
fn function<'py>(
    py: Python<'py>,
    name: &'static CStr,
    callback: ffi::PyCFunctionFast,
) -> PyResult<Bound<'py, PyAny>> {
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: callback },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: std::ptr::null(),
    }));
    // SAFETY: the definition lives for ever and says how the function wants to be called; no self, no module.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, null_mut(), null_mut())) }
}

/// Arms registered code objects again.
pub(crate) fn rearm(py: Python<'_>, codes: &[CodeId]) {
    if let Some((monitor, objects)) = objects_of(py, codes) {
        for code in objects {
            monitor.arm(code.bind(py));
        }
    }
}

/// Stops listening to registered code objects: without any local event, the interpreter runs them as if they had never been
/// traced. (A place that is silenced one by one may stay slower: one-line loops do.)
pub(crate) fn disarm(py: Python<'_>, codes: &[CodeId]) {
    if let Some((monitor, objects)) = objects_of(py, codes) {
        for code in objects {
            // As in arming, shims may refuse.
            let _ = monitor.set_local_events.call1(py, (monitor.reader, code, 0));
        }
    }
}

/// The monitor, and the code objects of those numbers.
fn objects_of(py: Python<'_>, codes: &[CodeId]) -> Option<(Arc<Monitor>, Vec<Py<PyAny>>)> {
    if codes.is_empty() {
        return None;
    }
    AGENT
        .with(py, |state| {
            let monitor = state.monitor.clone()?;
            let objects = codes.iter().filter_map(|id| state.objects.get(id)).map(|code| code.clone_ref(py));
            Some((monitor, objects.collect()))
        })
        .flatten()
}

/// The work of `token` goes on in the frames that are running: those of interest must report what it lacks.
pub(crate) fn rearm_stack(py: Python<'_>, token: Token) -> PyResult<()> {
    let any_code = AGENT.with(py, |state| !state.objects.is_empty()).unwrap_or(false);
    if !any_code {
        return Ok(());
    }
    let mut frame = py.import("sys")?.call_method0("_getframe")?;
    while !frame.is_none() {
        let code = frame.getattr("f_code")?.as_ptr() as usize;
        let needed = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            let id = *agent.codes.get(&code)?;
            agent.tracer.goes_on(id, token).then_some(id)
        });
        if let Some(id) = needed.flatten() {
            rearm(py, &[id]);
        }
        frame = frame.getattr("f_back")?;
    }
    Ok(())
}

/// What a callback tells the interpreter.
enum Answer {
    Keep,
    Silence,
}

/// Runs the body of a callback; whatever goes wrong in it stays in it.
fn guarded(body: impl FnOnce(Python<'_>) -> Answer) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls callbacks with its lock held.
    let py = unsafe { Python::assume_attached() };
    let answer = catch_unwind(AssertUnwindSafe(|| body(py))).unwrap_or(Answer::Keep);
    let disable = DISABLE.load(Ordering::Relaxed);
    // SAFETY: the lock is held; both objects live for ever. No error may be left behind with a result.
    unsafe {
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
        }
        match answer {
            Answer::Silence if !disable.is_null() => ffi::Py_NewRef(disable),
            _ => ffi::Py_NewRef(ffi::Py_None()),
        }
    }
}

/// The first argument's address, if there is one.
///
/// # Safety
/// `args` must hold `count` objects.
unsafe fn first(args: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t) -> Option<*mut ffi::PyObject> {
    // SAFETY: there is a first one.
    (count > 0).then(|| unsafe { *args })
}

fn registered(py: Python<'_>, code: *mut ffi::PyObject) -> Option<CodeId> {
    AGENT.with(py, |state| state.agent.as_ref()?.codes.get(&(code as usize)).copied()).flatten()
}

unsafe extern "C" fn on_line(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    guarded(|py| {
        if count < 2 {
            return Answer::Keep;
        }
        // SAFETY: the interpreter hands over a code object and an int.
        let (code, line) = unsafe { (*args as usize, ffi::PyLong_AsLong(*args.add(1))) };
        let Ok(line) = u32::try_from(line as c_long) else { return Answer::Keep };
        let known = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            let id = *agent.codes.get(&code)?;
            Some((id, agent.tracer.redundant_line(id, line)))
        });
        match known.flatten() {
            Some((_, Some(Verdict::Silence))) => Answer::Silence,
            // One event may still come after the code object was given up.
            None | Some((_, Some(Verdict::Keep))) => Answer::Keep,
            Some((id, None)) => {
                if let Some(token) = current::token(py) {
                    AGENT.with(py, |state| {
                        let agent = state.agent.as_mut()?;
                        agent.tracer.line(id, line, token).map(|fresh| agent.keep(fresh))
                    });
                }
                Answer::Keep
            }
        }
    })
}

fn entered(py: Python<'_>, code: *mut ffi::PyObject, resumed: bool) -> Answer {
    let Some(id) = registered(py, code) else { return Answer::Keep };
    let token = current::token(py);
    let entry = AGENT.with(py, |state| {
        let agent = state.agent.as_mut()?;
        let (entry, fresh) =
            if resumed { agent.tracer.resume(id, token) } else { agent.tracer.start(id, token) };
        if let Some(fresh) = fresh {
            agent.keep(fresh);
        }
        Some(entry)
    });
    match entry.flatten() {
        Some(Entry::Silence) => Answer::Silence,
        Some(Entry::Rearm) => {
            rearm(py, &[id]);
            Answer::Keep
        }
        Some(Entry::Keep) | None => Answer::Keep,
    }
}

unsafe extern "C" fn on_start(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| code.map_or(Answer::Keep, |code| entered(py, code, false)))
}

unsafe extern "C" fn on_resume(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| code.map_or(Answer::Keep, |code| entered(py, code, true)))
}

/// An exception is thrown into a generator or coroutine. The interpreter has this event globally only, and can't
/// silence it; it is rare.
unsafe extern "C" fn on_throw(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| {
        if let Some(code) = code {
            // A generator may see its first event this way.
            scout(py, code);
            if let (Some(id), Some(token)) = (registered(py, code), current::token(py)) {
                let needed = AGENT.with(py, |state| Some(state.agent.as_mut()?.tracer.goes_on(id, token)));
                if needed.flatten() == Some(true) {
                    rearm(py, &[id]);
                }
            }
        }
        Answer::Keep
    })
}

unsafe extern "C" fn on_first(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| {
        if let Some(code) = code {
            scout(py, code);
            // Armed only now, the reader is not told of this very entry.
            entered(py, code, false);
        }
        Answer::Silence
    })
}

/// Looks at a code object that begins to run; one of interest is registered and armed.
fn scout(py: Python<'_>, code: *mut ffi::PyObject) {
    if registered(py, code).is_some() {
        return;
    }
    // SAFETY: the interpreter lent the code object for the length of the callback.
    let code = unsafe { Bound::from_borrowed_ptr(py, code) };
    // The callback has no frame of its own: the innermost one is that of the code.
    let frame = py.import("sys").and_then(|sys| sys.call_method0("_getframe"));
    // An object that isn't like a code object (a shim) has nothing to report.
    let _ = frame.and_then(|frame| register(&code, &frame));
}

/// Looks at the code of every frame that runs in any thread: it began before anybody listened.
pub(crate) fn scout_running(py: Python<'_>) -> PyResult<()> {
    for frame in py.import("sys")?.call_method0("_current_frames")?.call_method0("values")?.try_iter()? {
        let mut frame = frame?;
        while !frame.is_none() {
            register(&frame.getattr("f_code")?, &frame)?;
            frame = frame.getattr("f_back")?;
        }
    }
    Ok(())
}

fn register(code: &Bound<'_, PyAny>, frame: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = code.py();
    let filename = code.getattr("co_filename")?;
    // A name with lone surrogates can't stand in data.
    let filename: String = filename.extract()?;
    let known = AGENT.with(py, |state| state.agent.as_ref().map(|agent| agent.sources.known(&filename)));
    let of_interest = match known.flatten() {
        Some(Known::Traced(file)) => Some(file),
        Some(Known::NotTraced) => None,
        Some(Known::Unseen) | None => decide(frame, &filename)?,
    };
    let Some(file) = of_interest else { return Ok(()) };
    let mut lines = Vec::new();
    for entry in code.call_method0("co_lines")?.try_iter()? {
        if let Some(line) = entry?.get_item(2)?.extract::<Option<u32>>()? {
            lines.push(line);
        }
    }
    let defined_at: u32 = code.getattr("co_firstlineno")?.extract()?;
    let address = code.as_ptr() as usize;
    let monitor = AGENT.with(py, |state| {
        let agent = state.agent.as_mut()?;
        if agent.codes.contains_key(&address) {
            return None;
        }
        let id = agent.tracer.add_code(file, defined_at, lines);
        agent.codes.insert(address, id);
        // It lives for ever from now on, so its address can't become another one's.
        state.objects.insert(id, code.clone().unbind());
        state.monitor.clone()
    });
    if let Some(monitor) = monitor.flatten() {
        monitor.arm(code);
    }
    Ok(())
}

/// Decides on a file that is seen first, with the names of the module that its code runs in.
fn decide(frame: &Bound<'_, PyAny>, filename: &str) -> PyResult<Option<FileId>> {
    let globals = frame.getattr("f_globals")?;
    let text = |name: &str| -> Option<String> {
        globals.call_method1("get", (name,)).ok()?.extract::<Option<String>>().ok().flatten()
    };
    let (file, module) = (text("__file__"), text("__name__").filter(|name| name != "__main__"));
    let decided = AGENT.with(frame.py(), |state| {
        Some(state.agent.as_mut()?.sources.decide(filename, file.as_deref(), module.as_deref()))
    });
    Ok(decided.flatten().flatten())
}
