//! Greenlets: each has a context of its own, which `greenlet` begins empty, and so is work that traced work gives to one.
//!
//! `greenlet.greenlet` is where all of them are made (gevent's, eventlet's, `SQLAlchemy`'s, raw ones), by a static type that refuses
//! attributes. So the one function that makes them, the type's `tp_new`, is called through one of ours, which gives what was made
//! a context that knows whose it is, and nothing else.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType, PyWeakrefMethods, PyWeakrefReference};

use crate::calling::guarded;
use crate::cell::AttachedCell;
use crate::frames::lookup;
use crate::state::AGENT;
use crate::token::TokenObject;
use crate::{current, engine, entered};

type New = unsafe extern "C-unwind" fn(
    *mut ffi::PyTypeObject,
    *mut ffi::PyObject,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Where `tp_init`, `tp_alloc` and `tp_new` lie in a type object, in pointers. Documented by CPython, not in its stable ABI, and compared
/// with what the stable ABI says of them before anything is written.
const SLOTS: [(usize, c_int); 3] = [(37, ffi::Py_tp_init), (38, ffi::Py_tp_alloc), (NEW, ffi::Py_tp_new)];
const NEW: usize = 39;

/// So many greenlets of traced work are remembered at least before the dead ones are forgotten.
const ENOUGH: usize = 64;

/// `greenlet`'s own function.
static ORIGINAL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static KNOWN: AttachedCell<Option<Known>> = AttachedCell::new(None);

/// What is known of greenlets.
struct Known {
    /// `PyContext_New`, `PyContext_Enter`, `PyContext_Exit`: public functions, but not the stable ABI's.
    new: unsafe extern "C" fn() -> *mut ffi::PyObject,
    enter: unsafe extern "C" fn(*mut ffi::PyObject) -> c_int,
    exit: unsafe extern "C" fn(*mut ffi::PyObject) -> c_int,
    /// The class's own descriptors: a subclass may have its own idea of attributes.
    context: Py<PyAny>,
    dead: Py<PyAny>,
    /// Classes whose greenlets work for whoever asks.
    serving: Vec<Py<PyType>>,
    /// Greenlets that began with a token, and may yet hold it.
    working: Vec<Working>,
    /// How many of them there may be before the dead ones are looked for.
    limit: usize,
}

/// A greenlet and the context that it was given; neither is kept alive.
struct Working {
    greenlet: Py<PyWeakrefReference>,
    context: Py<PyWeakrefReference>,
}

/// Adds what is for greenlets to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(follow_greenlets, module)?)?;
    module.add_function(wrap_pyfunction!(serves_all_greenlets, module)?)?;
    module.add_function(wrap_pyfunction!(expect_greenlets, module)?)?;
    module.add_function(wrap_pyfunction!(replace_method, module)?)
}

/// Lets greenlets begin as work of whoever makes them; `kind` is `greenlet.greenlet`. Says whether that can be done.
#[pyfunction]
fn follow_greenlets(kind: &Bound<'_, PyType>) -> PyResult<bool> {
    let py = kind.py();
    if !ORIGINAL.load(Ordering::Relaxed).is_null() {
        return Ok(true);
    }
    let functions = [c"PyContext_New", c"PyContext_Enter", c"PyContext_Exit"].map(lookup);
    if !is_laid_out(kind) || functions.iter().any(|found| found.is_null()) {
        return Ok(false);
    }
    let [new, enter, exit] = functions;
    // SAFETY: these are the functions of these names, of the types that CPython documents since 3.7.1.
    let known = unsafe {
        Known {
            new: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *mut ffi::PyObject>(new),
            enter: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut ffi::PyObject) -> c_int>(
                enter,
            ),
            exit: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut ffi::PyObject) -> c_int>(exit),
            context: kind.getattr("gr_context")?.unbind(),
            dead: kind.getattr("dead")?.unbind(),
            serving: Vec::new(),
            working: Vec::new(),
            limit: ENOUGH,
        }
    };
    KNOWN.with(py, |place| *place = Some(known));
    // SAFETY: a static type answers for its slots, too.
    let original = unsafe { ffi::PyType_GetSlot(kind.as_type_ptr(), ffi::Py_tp_new) };
    ORIGINAL.store(original, Ordering::Relaxed);
    replace(kind, original)?;
    Ok(true)
}

/// From now on, threads may switch between greenlets.
#[pyfunction]
fn expect_greenlets() {
    entered::expect_greenlets();
}

/// Puts another method in place of a static type's: such a type refuses that, though it is done for it at its making. Says whether it
/// could be. Not for names that the interpreter finds by a slot.
#[pyfunction]
pub(crate) fn replace_method(
    kind: &Bound<'_, PyType>,
    name: &str,
    method: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let Some(dictionary) = dictionary_of(kind)?.filter(|_| !name.starts_with("__")) else {
        return Ok(false);
    };
    dictionary.set_item(name, method)?;
    // SAFETY: the lock is held, and it is a type.
    unsafe { ffi::PyType_Modified(kind.as_type_ptr()) };
    Ok(true)
}

/// A type's own dictionary, where it can be had.
fn dictionary_of<'py>(kind: &Bound<'py, PyType>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = kind.py();
    let dictionary = lookup(c"PyType_GetDict");
    if dictionary.is_null() {
        // Before 3.12, the one thing that the type's `__dict__` refers to, as the garbage collector sees it.
        let seen = py.import("gc")?.call_method1("get_referents", (kind.getattr("__dict__")?,))?;
        return Ok(seen.get_item(0).ok().and_then(|seen| seen.cast_into().ok()));
    }
    // SAFETY: it is the function of that name, which takes a type and hands out a reference; the lock is held.
    let dictionary = unsafe {
        let dictionary: unsafe extern "C" fn(*mut ffi::PyTypeObject) -> *mut ffi::PyObject =
            std::mem::transmute(dictionary);
        Bound::from_owned_ptr_or_err(py, dictionary(kind.as_type_ptr()))?
    };
    Ok(dictionary.cast_into().ok())
}

/// Says that greenlets of this class, or one derived from it, work for whoever asks: they belong to nobody.
#[pyfunction]
fn serves_all_greenlets(kind: Py<PyType>, py: Python<'_>) {
    KNOWN.with(py, |known| known.as_mut().map(|known| known.serving.push(kind)));
}

/// Whether slots lie where they are expected in type objects of this interpreter.
fn is_laid_out(class: &Bound<'_, PyType>) -> bool {
    let words: *mut *mut c_void = class.as_type_ptr().cast();
    SLOTS.iter().all(|(at, slot)| {
        // SAFETY: a type object is longer than that in every CPython from 3.8 on, and is only read.
        let found = unsafe { *words.add(*at) };
        // SAFETY: the lock is held.
        !found.is_null() && found == unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), *slot) }
    })
}

/// Has a class, and those derived from it that took over its function, make objects by ours.
fn replace(class: &Bound<'_, PyType>, original: *mut c_void) -> PyResult<()> {
    if is_laid_out(class) {
        let words: *mut *mut c_void = class.as_type_ptr().cast();
        // SAFETY: the place was found to be the slot's. Type objects lie in memory that can be written, whose users hold the
        // interpreter's lock; ours has the type that the slot is documented to have.
        unsafe {
            if *words.add(NEW) == original {
                *words.add(NEW) = make as *mut c_void;
            }
        }
    }
    let of_type = class.py().get_type::<PyType>().getattr("__subclasses__")?;
    for derived in of_type.call1((class,))?.try_iter()? {
        if let Ok(derived) = derived?.cast_into::<PyType>() {
            replace(&derived, original)?;
        }
    }
    Ok(())
}

/// `greenlet.__new__`. The original may run other greenlets, those that it finds forgotten: see [`calling`].
unsafe extern "C-unwind" fn make(
    class: *mut ffi::PyTypeObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: it was taken from the slot that has functions of this type, before this one came in its place.
    let original: New = unsafe { std::mem::transmute(ORIGINAL.load(Ordering::Relaxed)) };
    // SAFETY: the interpreter's own arguments.
    let made = unsafe { original(class, args, keywords) };
    if made.is_null() {
        return made;
    }
    let given = guarded(|py| {
        // SAFETY: the lock is held, and the object is lent by this frame.
        give(unsafe { Bound::ref_from_ptr(py, &made) })
    });
    if given.is_none() {
        // Its work is nobody's then. The app has its greenlet.
        // SAFETY: the lock is held.
        unsafe { ffi::PyErr_Clear() };
    }
    made
}

/// Gives a new greenlet a context that says whose it is; none where nobody is at work.
fn give(greenlet: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = greenlet.py();
    let token = current::value(py).filter(PyAnyMethods::is_exact_instance_of::<TokenObject>);
    let busy = AGENT.with(py, |state| !state.tokens.is_empty());
    if token.is_none() && busy != Some(true) {
        return Ok(());
    }
    let Some((functions, setter, token)) = KNOWN
        .with(py, |known| {
            let known = known.as_ref()?;
            let kind = greenlet.get_type_ptr();
            let serves = known.serving.iter().any(|class| {
                // SAFETY: both are types, and the lock is held.
                (unsafe { ffi::PyType_IsSubtype(kind, class.as_ptr().cast()) }) != 0
            });
            let token = if serves { None } else { token };
            Some(((known.new, known.enter, known.exit), known.context.clone_ref(py), token))
        })
        .flatten()
    else {
        return Ok(());
    };
    let (new, enter, exit) = functions;
    // SAFETY: the lock is held; these are the functions that they are said to be, and run no Python code.
    let context = unsafe {
        let context = Bound::from_owned_ptr_or_err(py, new())?;
        if enter(context.as_ptr()) != 0 {
            return Err(PyErr::fetch(py));
        }
        let put = current::put(py, token.as_ref());
        if exit(context.as_ptr()) != 0 {
            return Err(PyErr::fetch(py));
        }
        put?;
        context
    };
    // The engine has followed into that context, and nothing tells it of the way back.
    engine::follow(py)?;
    setter.bind(py).call_method1("__set__", (greenlet, &context))?;
    if token.is_some() {
        let working = Working {
            greenlet: PyWeakrefReference::new(greenlet)?.unbind(),
            context: PyWeakrefReference::new(&context)?.unbind(),
        };
        remember(py, working)?;
    }
    Ok(())
}

fn remember(py: Python<'_>, working: Working) -> PyResult<()> {
    let full = KNOWN.with(py, |known| {
        known.as_mut().is_some_and(|known| {
            known.working.push(working);
            known.working.len() > known.limit
        })
    });
    if full == Some(true) {
        let alive = let_go(py)?;
        KNOWN.with(py, |known| known.as_mut().map(|known| known.limit = ENOUGH.max(2 * alive)));
    }
    Ok(())
}

/// Lets the contexts of dead greenlets forget whose they were: `greenlet` keeps them as long as the app keeps the greenlets, and nothing
/// will ever run in them. How many greenlets are not dead.
pub(crate) fn let_go(py: Python<'_>) -> PyResult<usize> {
    let Some(working) = KNOWN
        .with(py, |known| known.as_mut().map(|known| std::mem::take(&mut known.working)))
        .flatten()
        .filter(|working| !working.is_empty())
    else {
        return Ok(0);
    };
    let Some((dead, context)) = KNOWN
        .with(py, |known| known.as_ref().map(|known| (known.dead.clone_ref(py), known.context.clone_ref(py))))
        .flatten()
    else {
        return Ok(0);
    };
    let mut alive = Vec::with_capacity(working.len());
    for one in working {
        let Some(greenlet) = one.greenlet.bind(py).upgrade() else { continue };
        if !dead.bind(py).call_method1("__get__", (&greenlet,))?.is_truthy()? {
            alive.push(one);
            continue;
        }
        let Some(given) = one.context.bind(py).upgrade() else { continue };
        // Another one that the app gave it may be a living task's.
        if context.bind(py).call_method1("__get__", (&greenlet,))?.is(&given) {
            current::forget_in(&given)?;
        }
    }
    let count = alive.len();
    KNOWN.with(py, |known| known.as_mut().map(|known| known.working.append(&mut alive)));
    Ok(count)
}

/// The same, where a fault is nothing that anybody could do anything about.
pub(crate) fn let_go_quietly() {
    if guarded(let_go).is_none() {
        // SAFETY: the lock is held: see `guarded`.
        unsafe { ffi::PyErr_Clear() };
    }
}

/// Whether a greenlet of traced work that is not dead has a token. To be asked after [`let_go`]; where it can't be told, one has.
pub(crate) fn have(py: Python<'_>, token: &Py<PyAny>) -> bool {
    let contexts = KNOWN.with(py, |known| {
        let working = &known.as_ref()?.working;
        Some(working.iter().map(|one| one.context.clone_ref(py)).collect::<Vec<_>>())
    });
    let held = |context: &Bound<'_, PyAny>| {
        current::value_in(context).map_or(true, |value| value.is_some_and(|value| value.is(token)))
    };
    let contexts = contexts.flatten().unwrap_or_default();
    contexts.iter().any(|context| context.bind(py).upgrade().is_some_and(|context| held(&context)))
}
