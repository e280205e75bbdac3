//! Forks that the interpreter was not told of, and what they leave in its books.
//!
//! Who forks by the C library alone (uWSGI does, unless `--py-call-uwsgi-fork-hooks` says otherwise) leaves the threads of the parent among the
//! interpreter's. Whoever begins to listen has it follow the frames of every thread; theirs begin on stacks that belong to
//! others by now, and the process would die.

use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Where the threads of this process are listed, one entry each.
const THREADS: &str = "/proc/self/task";

/// The process that the interpreter knows itself to be.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// The interpreter knows of this process: the agent begins here, or the hooks of a fork run.
pub(crate) fn told() {
    TOLD.store(process::id(), Ordering::Relaxed);
}

/// Says why nobody may listen here, if that is so. Elsewhere than on Linux there is no telling.
pub(crate) fn refusal(py: Python<'_>) -> PyResult<Option<String>> {
    let threads = Path::new(THREADS);
    if TOLD.load(Ordering::Relaxed) == process::id() || !threads.is_dir() {
        return Ok(None);
    }
    let gone = started(py)?.into_iter().filter(|id| !threads.join(id.to_string()).exists()).count();
    Ok((gone > 0).then(|| {
        format!(
            "this process was forked and Python was not told: {gone} threads of the process before are still in its books, and to listen would \
             end in a crash; with uWSGI, use --py-call-uwsgi-fork-hooks or --lazy-apps"
        )
    }))
}

/// The system's numbers of the threads that Python code started, but for the main one, which goes on under another number. Without the lock of
/// `threading.enumerate()`: one of those may have held it.
fn started(py: Python<'_>) -> PyResult<Vec<u64>> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    let Some(threading) = modules.get_item("threading")? else { return Ok(Vec::new()) };
    let main = threading.getattr("main_thread")?.call0()?;
    // What somebody else started was met here at most, and is not taken out when it ends.
    let met = threading.getattr("_DummyThread")?;
    let active = PyList::new(py, threading.getattr("_active")?.cast_into::<PyDict>()?.values())?;
    let mut found = Vec::new();
    for thread in active {
        if !thread.is(&main) && !thread.is_instance(&met)? {
            found.extend(thread.getattr("native_id")?.extract::<Option<u64>>()?);
        }
    }
    Ok(found)
}
