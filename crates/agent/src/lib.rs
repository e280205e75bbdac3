//! Glue between CPython and the tracer.
