//! The frames that run, in all threads.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use crate::AGENT;

/// What it takes to find all running frames. Looked up once: an import could run the app's code.
pub(crate) struct Frames {
    current: Py<PyAny>,
    modules: Py<PyDict>,
}

impl Frames {
    pub(crate) fn new(sys: &Bound<'_, PyModule>) -> PyResult<Self> {
        Ok(Self {
            current: sys.getattr("_current_frames")?.unbind(),
            modules: sys.getattr("modules")?.cast_into::<PyDict>()?.unbind(),
        })
    }

    /// How many frames of a code object run, in whatever thread; counted up to two.
    ///
    /// Generators and coroutines that are suspended are not among them: they are reported when they are resumed. Greenlets
    /// that are suspended are not, either, and go on without a word: where there are any, it can't be told.
    fn running(&self, py: Python<'_>, code: *mut ffi::PyObject) -> PyResult<usize> {
        if self.modules.bind(py).contains(intern!(py, "greenlet"))? {
            return Ok(2);
        }
        let mut count = 0;
        for frame in self.current.bind(py).call0()?.cast_into::<PyDict>()?.values() {
            let mut next = Some(frame).filter(|frame| !frame.is_none());
            while let Some(frame) = next {
                if frame.getattr(intern!(py, "f_code"))?.as_ptr() == code {
                    count += 1;
                    if count > 1 {
                        return Ok(count);
                    }
                }
                next = Some(frame.getattr(intern!(py, "f_back"))?).filter(|back| !back.is_none());
            }
        }
        Ok(count)
    }
}

/// Whether exactly one frame of a code object runs: the one that asks.
pub(crate) fn runs_once(py: Python<'_>, code: *mut ffi::PyObject) -> bool {
    let monitor = AGENT.with(py, |state| state.monitor.clone()).flatten();
    let running = monitor.map(|monitor| monitor.frames.running(py, code));
    // An audit hook of the app may forbid the look: then it can't be told.
    matches!(running, Some(Ok(1)))
}
