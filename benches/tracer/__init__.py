"""`make bench-tracer`: what tracing costs, against untraced twins and against other tools."""
