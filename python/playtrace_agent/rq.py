"""RQ: jobs that traced work enqueues carry its profile, and workers trace them.

``install()`` does both; a web process needs only the queue's side, which ``playtrace_agent.flask.init_app`` sees to.
The two sides are ``rq_queue`` and ``rq_worker``; both do nothing until they are installed.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from . import rq_queue, rq_worker, runtime
from .jobs import RUN_KEY, SLUG_KEY, SlugMissingError

__all__ = ["RUN_KEY", "SLUG_KEY", "SlugMissingError", "install", "install_queue_if_present"]


def install(role: str = "worker") -> None:
    """Trace the jobs of this process's workers, and tag the jobs that traced work enqueues.

    For a worker's start-up, before it begins to work. Does nothing where ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    if not runtime.start(role) or _left_out():
        return
    rq_queue.install()
    rq_worker.install()


def install_queue_if_present() -> None:
    """Tag jobs if RQ is installed, from the moment on that somebody imports it."""
    if runtime.started() and not _left_out() and importlib.util.find_spec("rq") is not None:
        rq_queue.expect()


def _left_out() -> bool:
    return "rq" in runtime.current_settings().disabled


def __getattr__(name: str) -> Any:
    """Make ``playtrace_agent.rq.Worker`` when it is asked for: RQ need not be installed."""
    if name != "Worker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import rq

    install()

    class Worker(rq.Worker):
        """``rq.Worker`` with tracing, for ``rq worker --worker-class playtrace_agent.rq.Worker``."""

    # A worker pool may hand the class to its processes by its name.
    Worker.__module__, Worker.__qualname__ = __name__, "Worker"
    globals()["Worker"] = Worker
    return Worker
