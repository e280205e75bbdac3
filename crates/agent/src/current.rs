//! The `ContextVar` that says to which context the running code belongs.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use playtrace_tracer::Token;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::frames::lookup;
use crate::route::RouteObject;
use crate::routes::Number;
use crate::token::TokenObject;
use crate::{asked, engine, entered, stretch};

/// The variable. Asked at each event that may be news; events arrive while the interpreter shuts down and the module's own
/// names are gone, so it is kept for ever, like its bound methods.
static VARIABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `ContextVar.get`, bound.
static GET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `ContextVar.set`, bound.
static SET: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
/// `PyContextVar_Get`, if the interpreter has it: a third of what the method costs. It is a public function, but not
/// one of the stable ABI's.
static QUICK_GET: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// `PyContextVar_Set`, likewise.
static QUICK_SET: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// The token of work that has none of its own: a child process's. 0 is none; generations begin at 1.
static BASE: AtomicU64 = AtomicU64::new(0);

/// Another number each time that what the variable holds may come to mean something else: a token object is gone, whose address may
/// become another one's, or the process's own token is another one.
static MEANINGS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// How many imports this thread is in: what they run is nobody's, and no traffic either.
    static ASIDE: Cell<u32> = const { Cell::new(0) };
    /// By which route what this thread runs came, where the variable says nothing.
    static ROUTE: Cell<Option<Number>> = const { Cell::new(None) };
}

type QuickGet =
    unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject, *mut *mut ffi::PyObject) -> c_int;
type QuickSet = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

/// Why the running code belongs to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nobodys {
    /// Its context says so, or it is not within traced work.
    Outside,
    /// It runs within the work of this token, in a context that knows nothing of it: an empty one
    /// (`contextvars.Context().run`), or one that was made elsewhere.
    Elsewhere(Token),
}

/// What the variable held at some time; nothing is kept alive by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// The value's address; 0 where the variable was not set.
    address: usize,
    /// [`MEANINGS`] at that time.
    meanings: u64,
}

impl Held {
    pub(crate) fn address(self) -> usize {
        self.address
    }
}

/// Makes the variable. Its value is a unit's token, or `None`.
pub(crate) fn create(py: Python<'_>) -> PyResult<()> {
    let variable = py.import("contextvars")?.getattr("ContextVar")?.call1(("playtrace_agent",))?;
    GET.store(variable.getattr("get")?.unbind().into_ptr(), Ordering::Relaxed);
    SET.store(variable.getattr("set")?.unbind().into_ptr(), Ordering::Relaxed);
    QUICK_GET.store(lookup(c"PyContextVar_Get"), Ordering::Relaxed);
    QUICK_SET.store(lookup(c"PyContextVar_Set"), Ordering::Relaxed);
    asked::prepare(py, &variable)?;
    VARIABLE.store(variable.unbind().into_ptr(), Ordering::Relaxed);
    Ok(())
}

/// The variable's value where it is set, `Ellipsis` where it is not. Runs no Python code.
pub(crate) fn value(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let (variable, get) = (VARIABLE.load(Ordering::Relaxed), GET.load(Ordering::Relaxed));
    if variable.is_null() || get.is_null() {
        return None;
    }
    let quick = QUICK_GET.load(Ordering::Relaxed);
    // SAFETY: the lock is held; the variable and its method live for ever; both ways of asking are C functions that run no Python
    // code and hand out a reference of ours, or an error, which is cleared. The function's type is the one that CPython
    // documents since 3.7.1.
    unsafe {
        let unset = ffi::Py_Ellipsis();
        let mut value = null_mut();
        if quick.is_null() {
            value = ffi::PyObject_CallFunctionObjArgs(get, unset, null_mut::<ffi::PyObject>());
        } else {
            let quick: QuickGet = std::mem::transmute(quick);
            quick(variable, unset, &raw mut value);
        }
        let value = Bound::from_owned_ptr_or_opt(py, value);
        if value.is_none() {
            ffi::PyErr_Clear();
        }
        value
    }
}

/// The variable; null before it was made.
#[inline]
pub(crate) fn variable() -> *mut ffi::PyObject {
    VARIABLE.load(Ordering::Relaxed)
}

/// What the variable holds; `None` where it can't be asked quickly. Runs no Python code. Can't panic.
#[inline]
pub(crate) fn holds(py: Python<'_>) -> Option<Held> {
    Some(Held { address: address(py)?, meanings: MEANINGS.load(Ordering::Relaxed) })
}

/// The address of the variable's value.
#[inline]
fn address(py: Python<'_>) -> Option<usize> {
    let variable = VARIABLE.load(Ordering::Relaxed);
    if variable.is_null() {
        return None;
    }
    // SAFETY: the lock is held, and the variable lives for ever.
    unsafe { asked::address(variable) }.or_else(|| ask(py, variable))
}

/// The same where it must be asked.
#[cold]
#[inline(never)]
fn ask(_attached: Python<'_>, variable: *mut ffi::PyObject) -> Option<usize> {
    let quick = QUICK_GET.load(Ordering::Relaxed);
    if quick.is_null() {
        return None;
    }
    let mut value = null_mut();
    // SAFETY: as in `value`. The context holds the value, so that it outlives the reference that is given back here.
    unsafe {
        let quick: QuickGet = std::mem::transmute(quick);
        if quick(variable, null_mut(), &raw mut value) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        ffi::Py_XDECREF(value);
    }
    Some(value as usize)
}

/// Whether variables can be asked quickly.
pub(crate) fn is_quick() -> bool {
    !QUICK_GET.load(Ordering::Relaxed).is_null()
}

/// What any variable holds, a new reference; null where it holds nothing, maybe with an error set. Runs no Python code.
///
/// # Safety
/// The lock must be held, `variable` be a `ContextVar`, and variables be [quick](is_quick).
pub(crate) unsafe fn held_by(variable: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut value = null_mut();
    // SAFETY: the caller's promise. The function's type is the one that CPython documents since 3.7.1.
    unsafe {
        let quick: QuickGet = std::mem::transmute(QUICK_GET.load(Ordering::Relaxed));
        if quick(variable, null_mut(), &raw mut value) == 0 { value } else { null_mut() }
    }
}

/// Notes that addresses and the process's own token may mean something else from now on.
pub(crate) fn meanings_change() {
    stretch::end();
    MEANINGS.fetch_add(1, Ordering::Relaxed);
}

/// The token under which the running code's lines are recorded, or why there is none. Runs no Python code.
pub(crate) fn look(py: Python<'_>) -> Result<Token, Nobodys> {
    meant_by(py, value(py).as_ref())
}

/// The same, and what the variable holds; without that where it can't be asked quickly.
pub(crate) fn look_closely(py: Python<'_>) -> (Result<Token, Nobodys>, Option<Held>) {
    let value = value(py);
    let address = value.as_ref().map_or(0, |value| value.as_ptr() as usize);
    let address = if address == ellipsis() as usize { 0 } else { address };
    let held = Held { address, meanings: MEANINGS.load(Ordering::Relaxed) };
    (meant_by(py, value.as_ref()), (!QUICK_GET.load(Ordering::Relaxed).is_null()).then_some(held))
}

fn meant_by(py: Python<'_>, value: Option<&Bound<'_, PyAny>>) -> Result<Token, Nobodys> {
    if let Some(held) = value.and_then(|value| value.cast_exact::<TokenObject>().ok()) {
        return Ok(held.get().token());
    }
    base().ok_or_else(|| {
        let unset = value.is_some_and(|value| value.as_ptr() == ellipsis());
        let within = if unset { entered::running(py) } else { None };
        within.map_or(Nobodys::Outside, Nobodys::Elsewhere)
    })
}

fn ellipsis() -> *mut ffi::PyObject {
    // SAFETY: only its address is asked for.
    unsafe { ffi::Py_Ellipsis() }
}

/// The token under which the running code's lines are recorded.
pub(crate) fn token(py: Python<'_>) -> Option<Token> {
    look(py).ok()
}

/// What this thread runs is no traffic from now on, whoever it belongs to.
pub(crate) fn step_aside() {
    ASIDE.set(ASIDE.get().saturating_add(1));
}

/// The end of that.
pub(crate) fn step_back() {
    ASIDE.set(ASIDE.get().saturating_sub(1));
}

/// What nobody's work is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Real traffic; of a request of a route, where that is known.
    Traffic(Option<RouteObject>),
    /// None: start-up, an import, our own.
    Aside,
}

/// What it is that this thread runs, where it is nobody's.
pub(crate) fn kind(py: Python<'_>) -> Kind {
    if ASIDE.get() > 0 {
        return Kind::Aside;
    }
    let Some(value) = value(py) else { return Kind::Traffic(None) };
    if is_no_traffic(&value) {
        return Kind::Aside;
    }
    let held = value.cast_exact::<RouteObject>().ok().map(|route| *route.get());
    Kind::Traffic(held.or_else(|| ROUTE.get().map(RouteObject::new)))
}

/// What this thread runs from now on came by that route; answers with the one before.
pub(crate) fn set_route(route: Option<Number>) -> Option<Number> {
    ROUTE.replace(route)
}

/// Whether this is what the variable holds for what is nobody's and no traffic either.
pub(crate) fn is_no_traffic(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: only its address is asked for.
    value.as_ptr() == unsafe { ffi::Py_False() }
}

/// The process's own token.
pub(crate) fn base() -> Option<Token> {
    Some(BASE.load(Ordering::Relaxed)).filter(|raw| *raw != 0).map(Token::from_raw)
}

/// Sets the process's own token.
pub(crate) fn set_base(token: Option<Token>) {
    meanings_change();
    BASE.store(token.map_or(0, Token::raw), Ordering::Relaxed);
}

/// Sets what the running code's context holds, for the length of a call.
pub(crate) fn enter(py: Python<'_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    put(py, value)?;
    let token = value.and_then(|value| value.cast_exact::<TokenObject>().ok());
    entered::set(py, token.map(|token| token.get().token()));
    Ok(())
}

/// Sets the variable to what [`value`] answered, a token, or `None`. `Ellipsis` is as good as a variable that was never set.
pub(crate) fn put(py: Python<'_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let (variable, set) = (VARIABLE.load(Ordering::Relaxed), SET.load(Ordering::Relaxed));
    if variable.is_null() || set.is_null() {
        return Ok(());
    }
    let quick = QUICK_SET.load(Ordering::Relaxed);
    // With its last token a unit ends: not before its lines are fetched.
    let _before = if engine::is_present() { self::value(py) } else { None };
    // SAFETY: the lock is held; the variable and its method live for ever; both ways of setting are C functions that hand out
    // a reference of ours (what `ContextVar.reset` would take), or an error. The function's type is the one that
    // CPython documents since 3.7.1.
    unsafe {
        let value = value.map_or_else(|| ffi::Py_None(), Bound::as_ptr);
        let undo = if quick.is_null() {
            ffi::PyObject_CallFunctionObjArgs(set, value, null_mut::<ffi::PyObject>())
        } else {
            let quick: QuickSet = std::mem::transmute(quick);
            quick(variable, value)
        };
        Bound::from_owned_ptr_or_err(py, undo)?;
    }
    engine::follow(py)
}

/// What the variable holds in a context, if it is set there.
pub(crate) fn value_in<'py>(context: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let variable = VARIABLE.load(Ordering::Relaxed);
    if variable.is_null() {
        return Ok(None);
    }
    // SAFETY: the lock is held, and the variable lives for ever.
    let variable = unsafe { Bound::from_borrowed_ptr(context.py(), variable) };
    let value = context.call_method1("get", (variable,))?;
    Ok((!value.is_none()).then_some(value))
}

/// Has a context that nothing runs in hold `None`.
pub(crate) fn forget_in(context: &Bound<'_, PyAny>) -> PyResult<()> {
    let set = SET.load(Ordering::Relaxed);
    if set.is_null() {
        return Ok(());
    }
    // SAFETY: the lock is held, and the method lives for ever.
    let set = unsafe { Bound::from_borrowed_ptr(context.py(), set) };
    context.call_method1("run", (set, context.py().None())).map(drop)
}
