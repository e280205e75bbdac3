"""The variables that a starting process looks at. ``settings`` has the others, and costs more to import."""

DISABLE = "PROFILE_COVERAGE_DISABLE"
#: Set by ``playtrace-agent run``: apps are to be traced without a line of their own.
HOOKS = "PROFILE_COVERAGE_HOOKS"
SLUG = "PROFILE_TRACE_SLUG"
