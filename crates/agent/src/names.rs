//! Names that are asked for in callbacks, each made once, at the beginning.
//!
//! PyO3's `intern!` lets other threads run when it makes a name. In a callback, one of them may find the tracer between two steps that
//! belong together.

use pyo3::prelude::*;
use pyo3::types::PyString;

macro_rules! names {
    ($($name:ident = $text:literal),+ $(,)?) => {
        $(pub(crate) fn $name(py: Python<'_>) -> &Bound<'_, PyString> {
            pyo3::intern!(py, $text)
        })+

        /// Makes all of them.
        pub(crate) fn prepare(py: Python<'_>) {
            $($name(py);)+
        }
    };
}

names! {
    answering = "_answering",
    app = "app",
    client = "client",
    close = "close",
    collect = "collect",
    co_code = "co_code",
    co_filename = "co_filename",
    co_firstlineno = "co_firstlineno",
    co_lines = "co_lines",
    co_name = "co_name",
    eventlet = "eventlet",
    file_wrapper = "wsgi.file_wrapper",
    gevent = "gevent",
    greenlet = "greenlet",
    headers = "headers",
    kind = "type",
    left_open = "left_open",
    method = "method",
    name = "name",
    path = "path",
    path_info = "PATH_INFO",
    qualified_name = "__qualname__",
    remote_address = "REMOTE_ADDR",
    request = "request",
    request_method = "REQUEST_METHOD",
    rule = "rule",
    run_header = "HTTP_X_PROFILE_TRACE_RUN",
    script_name = "SCRIPT_NAME",
    signature_header = "HTTP_X_PROFILE_TRACE_SIGNATURE",
    slug_header = "HTTP_X_PROFILE_TRACE",
    step_header = "HTTP_X_PROFILE_TRACE_STEP",
    url_rule = "url_rule",
    weakref_offset = "__weakrefoffset__",
}
