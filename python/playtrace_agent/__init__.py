"""Traces per profile which lines a Python web app executes.

Importing this package does nothing. ``playtrace_agent.flask.init_app(app)``,
``playtrace_agent.wsgi.TraceMiddleware(app)``, ``playtrace_agent.asgi.wrap(app)`` and ``playtrace_agent.rq.install()``
switch it on where ``ENABLE_PROFILE_COVERAGE`` says so; the functions here are for code that wants to take part by hand.
"""

from __future__ import annotations

# Not `typing`'s: each Python that `playtrace-agent run` starts imports this package, and maybe nothing more.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["__version__", "current_slug", "flush", "trace"]
__version__ = "0.1.0"


def trace(slug: str, run: str | None = None) -> AbstractContextManager[None]:
    """Trace the block as work of the profile ``slug`` (and of that run of it).

    Does nothing where the agent is off, or the work can't be traced. A slug that can't be one is a ``ValueError``.

    Not around a ``yield``: a generator shares its context variables with whoever takes its pieces, whose lines would be
    the block's. Around its own work between two of them it does no harm.
    """
    from . import units

    return units.block(slug, run)


def current_slug() -> str | None:
    """Return the profile that the running code is traced for, if any."""
    from . import units

    run = units.current_run()
    return run[0] if run else None


def flush() -> None:
    """Write what has been traced so far. Ends of requests and jobs do so by themselves."""
    from . import units

    units.flush()
