//! What the interpreter calls: raw callbacks, in which whatever goes wrong stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use playtrace_tracer::{Arm, CodeId, Entry, Followed, Lacked, Redundant, Token, Way};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::asked;
use crate::callable;
use crate::current::{self, Kind, Nobodys};
use crate::monitor::{self, DISABLE};
use crate::number;
use crate::registry::{self, registered, scout};
use crate::state::AGENT;
use crate::stretch;

/// What a callback tells the interpreter.
enum Answer {
    Keep,
    Silence,
}

/// A line, by who has it now.
enum Reached {
    ByAll(Redundant),
    /// By whoever executes it, but not by others.
    NotByOthers(Option<Token>, Lacked),
}

/// Runs the body of a callback; whatever goes wrong in it stays in it. An error that a call into the interpreter raised is cleared where it
/// came from: here only a panic can have left one.
fn guarded(body: impl FnOnce(Python<'_>) -> Answer) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls callbacks with its lock held.
    let py = unsafe { Python::assume_attached() };
    let answer = catch_unwind(AssertUnwindSafe(|| body(py))).unwrap_or_else(|_| {
        // SAFETY: the lock is held. No error may be left behind with a result.
        unsafe { ffi::PyErr_Clear() };
        Answer::Keep
    });
    let disable = DISABLE.load(Ordering::Relaxed);
    // SAFETY: the lock is held; both objects live for ever.
    unsafe {
        match answer {
            Answer::Silence if !disable.is_null() => ffi::Py_NewRef(disable),
            _ => ffi::Py_NewRef(ffi::Py_None()),
        }
    }
}

/// Deals with a line whose code object reported one lately, as nearly all do; says whether it was. Without the net of [`guarded`]:
/// nothing here can panic.
///
/// # Safety
/// `args` must hold `count` objects, and the interpreter's lock must be held.
#[inline]
unsafe fn on_trail(args: *const *mut ffi::PyObject, count: usize) -> bool {
    if count < 2 {
        return false;
    }
    // The thread is asked for first: that is a call, and nothing else needs to be kept while it runs.
    // SAFETY: the lock is held.
    let (py, asking) = unsafe { (Python::assume_attached(), asked::asking()) };
    // SAFETY: there are a code object and an int.
    let (code, line) = unsafe { (*args as usize, number::line(*args.add(1))) };
    let Some(line) = line else { return false };
    asking.is_some_and(|asking| stretch::line(py, asking, code, line)) || followed(py, code, line)
}

/// Deals with a line of which the stretch does not know.
#[inline(never)]
fn followed(py: Python<'_>, code: usize, line: u32) -> bool {
    // SAFETY: a short cut sets bits, counts, and notes the line at the end of the map.
    let followed = unsafe {
        AGENT.with_places(py, |state| {
            let Some(agent) = &mut state.agent else { return Followed::Lost };
            let followed = agent.trails.line(py, &mut agent.tracer, code, line);
            if followed == Followed::Fresh
                && let Some(id) = agent.trails.code(code)
            {
                agent.trails.begin_stretch(py, &mut agent.tracer, code, id);
            }
            followed
        })
    };
    followed.is_some_and(|followed| followed != Followed::Lost)
}

/// Deals with an entry by a call if that can be done by what is known of lines; says whether it was. Can't panic.
#[inline]
fn entered_on_trail(py: Python<'_>, code: usize) -> bool {
    // SAFETY: bits are set, and the list of what the context touched grows.
    let entered = unsafe {
        AGENT
            .with_places(py, |state| state.agent.as_mut().is_some_and(|agent| agent.enter_on_trail(py, code)))
    };
    entered == Some(true)
}

/// The first argument's address, if there is one.
///
/// # Safety
/// `args` must hold `count` objects.
unsafe fn first(args: *const *mut ffi::PyObject, count: usize) -> Option<*mut ffi::PyObject> {
    // SAFETY: there is a first one.
    (count > 0).then(|| unsafe { *args })
}

pub(crate) unsafe extern "C" fn on_line(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects, with its lock held. `None` is immortal wherever there is
    // `sys.monitoring` (PEP 683): it needs no reference.
    unsafe { if on_trail(args, count) { ffi::Py_None() } else { off_trail(args, count) } }
}

/// Deals with any line. Apart from the quick way, which is short.
///
/// # Safety
/// `args` must hold `count` objects, and the interpreter's lock must be held.
#[cold]
#[inline(never)]
unsafe fn off_trail(args: *const *mut ffi::PyObject, count: usize) -> *mut ffi::PyObject {
    guarded(|py| {
        if count < 2 {
            return Answer::Keep;
        }
        // SAFETY: the interpreter hands over a code object and an int.
        let (code, Some(line)) = (unsafe { (*args, number::line(*args.add(1))) }) else {
            return Answer::Keep;
        };
        let found = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            // One event may still come after the code object was given up.
            let id = agent.code_at(code as usize)?;
            if let Some(redundant) = agent.tracer.redundant_line(id, line) {
                return Some((id, Reached::ByAll(redundant)));
            }
            // Asking runs no Python code.
            let (token, held) = current::look_closely(py);
            let (token, lacked) = match token {
                Ok(token) => (Some(token), agent.line(id, line, token, held)),
                Err(Nobodys::Elsewhere(token)) => {
                    agent.miss_line(id, line, token);
                    (None, Lacked::Keep)
                }
                Err(Nobodys::Outside) => (None, agent.tracer.lacked_by_others(id, line, None)),
            };
            Some((id, Reached::NotByOthers(token, lacked)))
        });
        match found.flatten() {
            None => Answer::Keep,
            Some((id, Reached::ByAll(redundant))) => silence(py, id, code, redundant),
            Some((id, Reached::NotByOthers(token, lacked))) => leave_to_others(py, id, code, token, lacked),
        }
    })
}

/// Does what is to be done with a line that is news to nobody.
fn silence(py: Python<'_>, id: CodeId, code: *mut ffi::PyObject, redundant: Redundant) -> Answer {
    match redundant {
        Redundant::Keep => Answer::Keep,
        Redundant::Silence => Answer::Silence,
        Redundant::SilenceLines => silence_lines(py, id),
        Redundant::Describe => {
            describe(py, id, code);
            let redundant = AGENT.with(py, |state| Some(state.agent.as_mut()?.tracer.silence(id)));
            match redundant.flatten() {
                Some(Redundant::SilenceLines) => silence_lines(py, id),
                Some(Redundant::Silence) => Answer::Silence,
                _ => Answer::Keep,
            }
        }
    }
}

/// Does what is to be done with a line that others lack.
fn leave_to_others(
    py: Python<'_>,
    id: CodeId,
    code: *mut ffi::PyObject,
    token: Option<Token>,
    lacked: Lacked,
) -> Answer {
    match lacked {
        Lacked::Keep => Answer::Keep,
        Lacked::Silence => Answer::Silence,
        Lacked::Look => {
            let Some(monitor) = AGENT.with(py, |state| state.monitor.clone()).flatten() else {
                return Answer::Keep;
            };
            let alone = monitor.frames.runs_once(py, code);
            let arm = AGENT.with(py, |state| {
                let tracer = &mut state.agent.as_mut()?.tracer;
                if !alone {
                    tracer.is_crowded(id);
                }
                alone.then(|| tracer.hold(id, token))
            });
            let Some(arm) = arm.flatten() else { return Answer::Keep };
            monitor::rearm(py, arm.as_slice());
            Answer::Silence
        }
    }
}

/// A loop runs in a code object: it is time to know which lines it has.
fn describe(py: Python<'_>, id: CodeId, code: *mut ffi::PyObject) {
    // SAFETY: the interpreter lent the code object for the length of the callback.
    let code = unsafe { Bound::from_borrowed_ptr(py, code) };
    let monitor = AGENT.with(py, |state| state.monitor.clone()).flatten();
    let lines = monitor.and_then(|monitor| registry::lines_of(&code, monitor.resume_opcode));
    AGENT.with(py, |state| state.agent.as_mut().map(|agent| agent.tracer.describe(id, lines)));
}

fn silence_lines(py: Python<'_>, id: CodeId) -> Answer {
    monitor::silence_lines(py, id);
    // The event is taken away, this place's with it.
    Answer::Keep
}

/// An entry of a code object is silenced.
fn entry_silenced(py: Python<'_>, id: CodeId, code: *mut ffi::PyObject) {
    let undescribed = AGENT.with(py, |state| Some(state.agent.as_ref()?.tracer.is_undescribed(id)));
    if undescribed.flatten() == Some(true) {
        describe(py, id, code);
    }
    let complete = AGENT.with(py, |state| Some(state.agent.as_mut()?.tracer.silence_lines(id)));
    if complete.flatten() == Some(true) {
        monitor::silence_lines(py, id);
    }
}

fn entered(py: Python<'_>, code: *mut ffi::PyObject, way: Way) -> Answer {
    let entry = AGENT.with(py, |state| {
        let agent = state.agent.as_mut()?;
        let id = agent.code_at(code as usize)?;
        // Asking runs no Python code.
        let token = agent.trails.token(py).map_or_else(|| current::look(py), Ok);
        if let Err(Nobodys::Elsewhere(token)) = token {
            agent.miss_entry(id, token);
            // If it lacks a line, that is to be seen.
            if agent.tracer.goes_on(id, token) {
                return Some((id, Entry::Rearm));
            }
        }
        agent.notice_fork();
        let (entry, fresh) = match token {
            Err(Nobodys::Outside) => match current::kind(py) {
                Kind::Traffic(route) => (agent.enter_for_nobody(id, way, route), None),
                // An import's code, say, runs for whoever comes first.
                Kind::Aside => agent.tracer.enter(id, way, None),
            },
            other => agent.tracer.enter(id, way, other.ok()),
        };
        if let Some(fresh) = fresh {
            agent.keep(fresh);
        }
        if entry == Entry::First {
            agent.trails.begin_stretch(py, &mut agent.tracer, code as usize, id);
        }
        Some((id, entry))
    });
    match entry.flatten() {
        Some((id, Entry::Silence)) => {
            entry_silenced(py, id, code);
            Answer::Silence
        }
        Some((id, Entry::Rearm)) => {
            monitor::rearm(py, &[(id, Arm::Everything)]);
            Answer::Keep
        }
        Some((_, Entry::Keep | Entry::First)) | None => Answer::Keep,
    }
}

pub(crate) unsafe extern "C" fn on_start(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects, with its lock held.
    unsafe {
        let Some(code) = first(args, count) else { return ffi::Py_None() };
        if entered_on_trail(Python::assume_attached(), code as usize) {
            // Immortal: see `on_line`.
            return ffi::Py_None();
        }
        guarded(|py| entered(py, code, Way::Start))
    }
}

pub(crate) unsafe extern "C" fn on_resume(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects.
    let resumed = unsafe { resumption(args, count) };
    guarded(|py| resumed.map_or(Answer::Keep, |(code, way)| entered(py, code, way)))
}

/// What is resumed, and where.
///
/// # Safety
/// `args` must hold `count` objects.
unsafe fn resumption(args: *const *mut ffi::PyObject, count: usize) -> Option<(*mut ffi::PyObject, Way)> {
    if count < 2 {
        return None;
    }
    // SAFETY: there are two, of which the second is an int; the lock is held.
    let (code, at) = unsafe { (*args, number::line(*args.add(1))) };
    Some((code, Way::Resume { at: at.unwrap_or(u32::MAX) }))
}

/// An exception is thrown into a generator or coroutine. The interpreter has this event globally only, and can't
/// silence it; it is rare.
pub(crate) unsafe extern "C" fn on_throw(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| {
        if let Some(code) = code {
            // A generator may see its first event this way.
            scout(py, code);
            // Work in an empty context is to be seen, too.
            let token = match current::look(py) {
                Ok(token) | Err(Nobodys::Elsewhere(token)) => Some(token),
                Err(Nobodys::Outside) => None,
            };
            if let (Some(id), Some(token)) = (registered(py, code), token) {
                let needed = AGENT.with(py, |state| Some(state.agent.as_mut()?.tracer.goes_on(id, token)));
                if needed.flatten() == Some(true) {
                    monitor::rearm(py, &[(id, Arm::Everything)]);
                }
            }
        }
        Answer::Keep
    })
}

pub(crate) unsafe extern "C" fn on_first(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects.
    let code = unsafe { first(args, count) };
    guarded(|py| code.map_or(Answer::Silence, |code| found(py, code, Way::Start)))
}

pub(crate) unsafe extern "C" fn on_first_resume(
    _callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: usize,
    _names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let count = callable::count(count);
    // SAFETY: the interpreter hands over `count` objects.
    let resumed = unsafe { resumption(args, count) };
    guarded(|py| resumed.map_or(Answer::Silence, |(code, way)| found(py, code, way)))
}

/// A place where code is entered is passed for the first time.
fn found(py: Python<'_>, code: *mut ffi::PyObject, way: Way) -> Answer {
    if scout(py, code) {
        let token = current::look(py).ok();
        AGENT.with(py, |state| token.zip(state.agent.as_mut()).map(|(token, agent)| agent.miss_code(token)));
        return Answer::Keep;
    }
    // Armed only now, the reader is not told of this very entry.
    entered(py, code, way);
    Answer::Silence
}
