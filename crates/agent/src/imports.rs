//! Code that an import runs belongs to the import, not to the request that happened to come first.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::state::AGENT;
use crate::token::TokenObject;
use crate::{calling, current, engine, monitor, names};

/// The `exec_module` that was there before ours.
static ORIGINAL: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// The class of the loaders that are known to be like what Python documents.
static SOURCE_LOADER: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(null_mut());

/// Wraps `exec_module` of the loaders of Python source, once.
///
/// Natively: a wrapper written in Python would add a frame to every traceback of a failing import.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    if !ORIGINAL.load(Ordering::Relaxed).is_null() {
        return Ok(());
    }
    // The one class that every loader of the path finder inherits `exec_module` from.
    let bootstrap = py.import("importlib._bootstrap_external")?;
    let source_loader = bootstrap.getattr("SourceFileLoader")?.unbind().into_ptr();
    SOURCE_LOADER.store(source_loader.cast(), Ordering::Relaxed);
    let loader = bootstrap.getattr("_LoaderBasics")?;
    let original = loader.getattr("exec_module")?;
    let definition = calling::definition(
        c"exec_module",
        exec_module,
        ffi::METH_VARARGS | ffi::METH_KEYWORDS,
        c"exec_module($self, module)\n--\n\nExecute the module.",
    );
    // SAFETY: the definition lives for ever; a descriptor of `object` binds to an instance of any class.
    let descriptor = unsafe {
        let object = &raw mut ffi::PyBaseObject_Type;
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(object, definition))?
    };
    ORIGINAL.store(original.unbind().into_ptr(), Ordering::Relaxed);
    loader.setattr("exec_module", descriptor)
}

/// `loader.exec_module(module)`.
unsafe extern "C-unwind" fn exec_module(
    loader: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods with its lock held.
    let py = unsafe { Python::assume_attached() };
    let _ = catch_unwind(AssertUnwindSafe(|| foresee(py, loader)));
    // Not dropped where the call never comes back: see `calling`.
    let Some(scope) = enter(py) else { return null_mut() };
    // Whatever is wrong with the arguments, the original says it.
    // SAFETY: the lock is held, the original lives for ever, and the caller lent a tuple and a dictionary or null for the
    // length of the call. Nothing here is dropped by itself.
    let result = unsafe {
        let first = ffi::PyTuple_Pack(1, loader);
        let all = if first.is_null() { null_mut() } else { ffi::PySequence_Concat(first, args) };
        ffi::Py_XDECREF(first);
        if all.is_null() {
            null_mut()
        } else {
            current::step_aside();
            let result = calling::call(ORIGINAL.load(Ordering::Relaxed), all, keywords);
            current::step_back();
            ffi::Py_DECREF(all);
            result
        }
    };
    if scope.is_some() { leave(py, scope, result) } else { result }
}

/// An import begins. `None` with an error set where a signal's handler raised one in the meantime.
fn enter(py: Python<'_>) -> Option<ManuallyDrop<Option<Scope<'_>>>> {
    match catch_unwind(AssertUnwindSafe(|| Scope::enter(py))) {
        Ok(Ok(scope)) => Some(ManuallyDrop::new(scope)),
        Ok(Err(error)) => {
            error.restore(py);
            None
        }
        Err(_) => Some(ManuallyDrop::new(None)),
    }
}

/// The import is over; its result, or null with an error set.
fn leave(
    py: Python<'_>,
    scope: ManuallyDrop<Option<Scope<'_>>>,
    result: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // Leaving calls into Python, which must not happen with an error set: a failing import goes on failing.
    let error = if result.is_null() { PyErr::take(py) } else { None };
    let left = catch_unwind(AssertUnwindSafe(|| {
        ManuallyDrop::into_inner(scope).map_or(Ok(()), |scope| scope.leave(py))
    }));
    match (error, left) {
        (Some(error), _) => error.restore(py),
        (None, Ok(Err(fault))) => {
            fault.restore(py);
            // SAFETY: the lock is held, and the result is ours.
            unsafe { ffi::Py_XDECREF(result) };
            return null_mut();
        }
        (None, _) => {}
    }
    result
}

/// Looks at the file of a module before its code runs: what it holds now is what is loaded.
fn foresee(py: Python<'_>, loader: *mut ffi::PyObject) {
    // SAFETY: the caller lent the loader for the length of the call, and every object has a type.
    let (loader, class) = unsafe { (Bound::from_borrowed_ptr(py, loader), ffi::Py_TYPE(loader)) };
    if class != SOURCE_LOADER.load(Ordering::Relaxed) {
        // The attributes of another class's may run the app's code.
        return;
    }
    let text = |name| loader.getattr(name).and_then(|value| value.extract::<String>());
    if let (Ok(path), Ok(module)) = (text(names::path(py)), text(names::name(py))) {
        AGENT.with(py, |state| state.agent.as_mut().map(|agent| agent.sources.foresee(&path, &module)));
    }
}

/// An import under way in traced work.
struct Scope<'py> {
    run: u64,
    /// What the variable held.
    before: Option<Bound<'py, PyAny>>,
    /// The import's own.
    inner: Bound<'py, TokenObject>,
}

impl<'py> Scope<'py> {
    fn enter(py: Python<'py>) -> PyResult<Option<Self>> {
        let Some(token) = current::token(py) else { return Ok(None) };
        let begun = AGENT.with(py, |state| state.agent.as_mut()?.begin_import(token)).flatten();
        let Some((run, inner, rearm)) = begun else { return Ok(None) };
        monitor::rearm(py, &rearm);
        let before = current::value(py);
        // No running frame goes on under the import's context, so the stack needs no arming.
        let inner = Bound::new(py, TokenObject::new(0, inner, None));
        let put = inner.and_then(|inner| current::put(py, Some(inner.as_any())).map(|()| inner));
        match put {
            Ok(inner) => Ok(Some(Self { run, before, inner })),
            Err(error) => {
                let _ = current::put(py, before.as_ref());
                AGENT.with(py, |state| state.agent.as_mut().map(|agent| agent.end_import(run)));
                // Without the engine, no code of Python's has run: the import goes on.
                if engine::is_present() { Err(error) } else { Ok(None) }
            }
        }
    }

    fn leave(self, py: Python<'py>) -> PyResult<()> {
        let back = current::put(py, self.before.as_ref());
        // While the import's context is there to take its lines.
        let over = if engine::is_present() { engine::drain(py) } else { Ok(()) };
        // SAFETY: the lock is held, and it is our object.
        let is_over = unsafe { ffi::Py_REFCNT(self.inner.as_ptr()) } == 1;
        let unit = AGENT.with(py, |state| {
            let agent = state.agent.as_mut()?;
            // A context that was copied may go on as the import's work: a task that it made, say.
            let left = if is_over { None } else { agent.leave_import(self.run) };
            if left.is_none() {
                agent.end_import(self.run);
            }
            left
        });
        if let Some(unit) = unit.flatten() {
            self.inner.get().belongs_to(unit);
        }
        if engine::is_present() { over.and(back) } else { Ok(()) }
    }
}
