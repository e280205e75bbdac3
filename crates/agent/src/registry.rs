//! Code objects of interest: found at their first run, kept while anybody else has them.

use std::ops::ControlFlow;

use playtrace_tracer::{CodeId, FileId};
use pyo3::exceptions::{PyMemoryError, PyRecursionError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::agent::Agent;
use crate::cell::give_back;
use crate::due;
use crate::frames;
use crate::names;
use crate::sources::Known;
use crate::state::AGENT;

/// The registered code objects, each kept alive so that its address can't become another one's.
pub(crate) struct Objects {
    /// By number.
    codes: Vec<Option<Py<PyAny>>>,
    count: usize,
    /// At so many, it is time to look for those that nobody else has any more.
    sweep_at: usize,
    /// The file name that was seen last, and what is known of it: the code objects of a file share one object.
    last_name: Option<(Py<PyAny>, Option<FileId>)>,
}

/// How many code objects may be registered before those are looked for that are gone.
const FIRST_SWEEP: usize = 1024;

impl Objects {
    pub(crate) const fn new() -> Self {
        Self { codes: Vec::new(), count: 0, sweep_at: FIRST_SWEEP, last_name: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn get(&self, id: CodeId) -> Option<&Py<PyAny>> {
        self.codes.get(id.index())?.as_ref()
    }

    fn insert(&mut self, id: CodeId, code: Py<PyAny>) {
        if id.index() >= self.codes.len() {
            self.codes.resize_with(id.index() + 1, || None);
        }
        self.codes[id.index()] = Some(code);
        self.count += 1;
        if self.count >= self.sweep_at && due::TRAFFIC.is_ever() {
            // Requests of real traffic open nothing that would look.
            due::TRAFFIC.set_now();
        }
    }

    /// Takes out the code objects that nobody but us has, nor can find. `watched` receives the addresses of those that a weak
    /// reference leads to.
    fn take_gone(&mut self, weak: WeakReferences, watched: &mut Vec<usize>) -> Vec<Py<PyAny>> {
        let mut is_gone = |code: &mut Py<PyAny>| {
            let alone = is_ours_alone(code);
            if alone && weak.lead_to(code) {
                watched.push(code.as_ptr() as usize);
                return false;
            }
            alone
        };
        let gone: Vec<_> = self.codes.iter_mut().filter_map(|code| code.take_if(&mut is_gone)).collect();
        self.count -= gone.len();
        self.next_sweep();
        gone
    }

    fn next_sweep(&mut self) {
        self.sweep_at = FIRST_SWEEP.max(self.count * 2);
    }

    fn take(&mut self, id: CodeId) -> Option<Py<PyAny>> {
        let code = self.codes.get_mut(id.index())?.take()?;
        self.count -= 1;
        Some(code)
    }

    /// Takes one out, if nobody but us has it at this moment.
    fn take_alone(&mut self, id: CodeId) -> Option<Py<PyAny>> {
        let code = self.codes.get_mut(id.index())?.take_if(|code| is_ours_alone(code))?;
        self.count -= 1;
        Some(code)
    }
}

/// Whether nobody but us has a registered code object. (The garbage collector doesn't list code objects, so that only a weak
/// reference leads to one that nobody has.)
fn is_ours_alone(code: &Py<PyAny>) -> bool {
    // SAFETY: whoever reaches the registered objects holds the interpreter's lock, and we hold the object.
    (unsafe { ffi::Py_REFCNT(code.as_ptr()) }) == 1
}

/// Where code objects have the list of their weak references.
#[derive(Clone, Copy)]
struct WeakReferences(Option<usize>);

impl WeakReferences {
    fn of(py: Python<'_>, code: &Py<PyAny>) -> Self {
        let offset = code.bind(py).get_type().getattr(names::weakref_offset(py));
        Self(offset.and_then(|offset| offset.extract()).ok().filter(|offset| *offset > 0))
    }

    /// Whether there is one; also where that can't be told.
    fn lead_to(self, code: &Py<PyAny>) -> bool {
        let Some(offset) = self.0 else { return true };
        // SAFETY: the type says that a pointer to the first of them lies so many bytes behind its objects' beginning; the lock
        // is held.
        unsafe { !code.as_ptr().byte_add(offset).cast::<*mut ffi::PyObject>().read().is_null() }
    }
}

/// Lets go of code objects that nobody else has: an app may compile anew for each request. Called between units of work.
pub(crate) fn sweep(py: Python<'_>) {
    let due = AGENT.with(py, |state| {
        if state.objects.count < state.objects.sweep_at {
            return None;
        }
        state.objects.codes.iter().flatten().next().map(|code| code.clone_ref(py))
    });
    let Some(any) = due.flatten() else { return };
    let weak = WeakReferences::of(py, &any);
    give_back(py, [any]);
    let mut watched = Vec::new();
    let gone = AGENT.with(py, |state| {
        let gone = state.objects.take_gone(weak, &mut watched);
        if let Some(agent) = state.agent.as_mut() {
            agent.forget_codes(gone.iter().map(|code| code.as_ptr() as usize));
        }
        gone
    });
    // Only now: what a code object holds may have an end of its own to see to.
    give_back(py, gone.into_iter().flatten());
    if watched.is_empty() {
        return;
    }
    // The end of one may call code of the app that finds another one, and runs it: each goes by itself.
    for address in watched {
        let gone = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            let gone = state.objects.take_alone(*agent.codes.get(&address)?)?;
            agent.forget_codes(std::iter::once(address));
            Some(gone)
        });
        give_back(py, gone.flatten());
    }
    AGENT.with(py, |state| state.objects.next_sweep());
}

/// The number of a registered code object.
pub(crate) fn registered(py: Python<'_>, code: *mut ffi::PyObject) -> Option<CodeId> {
    AGENT.with(py, |state| state.agent.as_ref()?.codes.get(&(code as usize)).copied()).flatten()
}

/// Looks at a code object that begins to run; one of interest is registered and armed. Says whether that is to be tried again,
/// the next time that it runs.
pub(crate) fn scout(py: Python<'_>, code: *mut ffi::PyObject) -> bool {
    if registered(py, code).is_some() {
        return false;
    }
    // SAFETY: the interpreter lent the code object for the length of the callback.
    let code = unsafe { Bound::from_borrowed_ptr(py, code) };
    // An object that isn't like a code object (a shim) has nothing to report. The callback has no frame of its own: the
    // innermost one is that of the code.
    register(&code, frames::innermost).unwrap_or_else(|error| is_want(py, &error))
}

/// Whether an error came of where it was, near the end of the stack, and not of what was asked.
fn is_want(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyRecursionError>(py) || error.is_instance_of::<PyMemoryError>(py)
}

/// Looks at the code of every frame that runs in any thread: it began before anybody listened.
pub(crate) fn scout_running(py: Python<'_>) -> PyResult<()> {
    let Some(monitor) = AGENT.with(py, |state| state.monitor.clone()).flatten() else { return Ok(()) };
    let mut running = Vec::new();
    monitor.frames.each(py, |frame, code| {
        running.push((frame.clone(), code.clone()));
        ControlFlow::Continue(())
    });
    running.into_iter().try_for_each(|(frame, code)| register(&code, |_| Some(frame)).map(drop))
}

/// Looks at the code of a frame that goes on. A fault is nothing that the app has to hear of: the next frame of this code is another chance.
pub(crate) fn scout_frame(frame: &Bound<'_, PyAny>, code: &Bound<'_, PyAny>) {
    if registered(code.py(), code.as_ptr()).is_none() {
        let _ = register(code, |_| Some(frame.clone()));
    }
}

fn register<'py>(
    code: &Bound<'py, PyAny>,
    frame: impl FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>>,
) -> PyResult<bool> {
    let py = code.py();
    let Some(file) = file_of(code, frame)? else { return Ok(false) };
    let defined_at: u32 = code.getattr(names::co_firstlineno(py))?.extract()?;
    let address = code.as_ptr() as usize;
    let asked = AGENT.with(py, |state| state.agent.as_ref().is_some_and(Agent::records_anyone));
    let is_body = asked == Some(true)
        && code.getattr(names::co_name(py))?.extract::<String>().is_ok_and(|name| name == "<module>");
    let monitor = AGENT.with(py, |state| {
        let agent = state.agent.as_mut()?;
        if agent.codes.contains_key(&address) {
            return None;
        }
        let id = agent.tracer.add_code(file, defined_at);
        if is_body {
            agent.tracer.is_no_function(id);
        }
        let lines = agent.tracer.wants_lines_of(id);
        agent.codes.insert(address, id);
        state.objects.insert(id, code.clone().unbind());
        Some((state.monitor.clone()?, lines))
    });
    let again = monitor.flatten().is_some_and(|(monitor, lines)| monitor.arm_new(code, lines));
    if again {
        let taken = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            let id = *agent.codes.get(&address)?;
            agent.forget_codes(std::iter::once(address));
            state.objects.take(id)
        });
        give_back(py, taken.flatten());
    }
    Ok(again)
}

/// The measured file of a code object; `None` if it is not of interest.
fn file_of<'py>(
    code: &Bound<'py, PyAny>,
    frame: impl FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>>,
) -> PyResult<Option<FileId>> {
    let py = code.py();
    let name = code.getattr(names::co_filename(py))?;
    let last = AGENT.with(py, |state| {
        let (last, file) = state.objects.last_name.as_ref()?;
        last.is(&name).then_some(*file)
    });
    if let Some(file) = last.flatten() {
        return Ok(file);
    }
    // A name with lone surrogates can't stand in data.
    let text: String = name.extract()?;
    if text.starts_with('<') {
        // Never a file. Not kept in mind: each of these may be another one.
        return Ok(None);
    }
    let known = AGENT.with(py, |state| state.agent.as_ref().map(|agent| agent.sources.known(&text)));
    let file = match known.flatten() {
        Some(Known::Traced(file)) => Some(file),
        Some(Known::NotTraced) => None,
        Some(Known::Unseen) | None => match frame(py) {
            Some(frame) => decide(&frame, &text)?,
            None => return Ok(None),
        },
    };
    let name = name.unbind();
    let before = AGENT.with(py, |state| state.objects.last_name.replace((name, file)));
    give_back(py, before.flatten().map(|(name, _)| name));
    Ok(file)
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

/// The lines that the interpreter may report in a code object: those of its table, from the first `RESUME` on, where the
/// interpreter begins to look. (What stands before belongs to the call.) `None` if that can't be told.
pub(crate) fn lines_of(code: &Bound<'_, PyAny>, resume_opcode: u8) -> Option<Vec<u32>> {
    let py = code.py();
    let instructions = code.getattr(names::co_code(py)).ok()?;
    let instructions: &[u8] = instructions.extract().ok()?;
    let begin = instructions.iter().step_by(2).position(|opcode| *opcode == resume_opcode)? * 2 + 2;
    let mut lines = Vec::new();
    for entry in code.call_method0(names::co_lines(py)).ok()?.try_iter().ok()? {
        let (_, end, line): (usize, usize, Option<u32>) = entry.ok()?.extract().ok()?;
        if let Some(line) = line.filter(|_| end > begin) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    Some(lines)
}
