"""The worker's side of Celery: a task that carries a profile is traced in whatever process or thread performs it."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from . import anyone, jobs, runtime
from .celery_publish import task_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("playtrace_agent")
_installed = False


def install() -> None:
    """Trace the tasks of every pool. Once, in the worker's main process, before its pool is made."""
    global _installed  # noqa: PLW0603 - the process has one `celery`
    if _installed:
        return
    _installed = True
    import celery.app.trace
    import celery.worker.request
    from celery import signals
    from celery.concurrency.base import BasePool

    # What pools call, and pickle by its name; the message's body is decoded inside.
    for name in ("trace_task_ret", "fast_trace_task"):
        wrapped = _target(getattr(celery.app.trace, name))
        for module in (celery.app.trace, celery.worker.request):
            setattr(module, name, wrapped)
    pool: Any = BasePool
    pool.apply_async = _apply_async(pool.apply_async)
    request: Any = celery.worker.request.Request
    for name in ("on_failure", "on_timeout"):
        setattr(request, name, _afterwards(getattr(request, name)))
    signals.task_revoked.connect(_revoked, weak=False)
    signals.task_unknown.connect(_unknown, weak=False)
    signals.task_rejected.connect(_rejected, weak=False)


def _target(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the work itself: decoding the message, the task, its callbacks, and what is sent when it is over."""

    @functools.wraps(original)
    def target(name: str, uuid: str, request: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return traced(uuid, request, name, lambda: original(name, uuid, request, *args, **kwargs))

    return target


def traced(job: str, request: Mapping[str, Any], name: str, work: Callable[[], Any]) -> Any:
    """Do a task's work as work of its profile, if it has one."""
    run = jobs.run_in(request) or jobs.recover(job, "its headers were replaced")
    unit = jobs.open_unit(run, "job", job=job) if run is not None else None
    if unit is None or run is None:
        return anyone.job(name, work)
    runtime.say(logging.DEBUG, "worker tracing started: task %s, profile %s", job, run[0])
    return jobs.perform(unit, job, work)


def _apply_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the moment at which the worker hands a task to its pool: the promise that it starts."""

    @functools.wraps(original)
    def apply_async(self: Any, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        # The task's name, its id, its headers, and more.
        headers: Any = args[2] if args and len(args) > 2 else None
        run = jobs.run_in(headers) if isinstance(headers, dict) else None
        if run is not None:
            jobs.start(run, str(args[1]), str(headers.get("hostname", "")))
        return original(self, target, args, kwargs, **options)

    return apply_async


def _afterwards(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the main process does for a task that failed: where its process is gone, it calls the task's callbacks.

    The unit is not one of the task's own: that the task itself was performed is for its process to say.
    """

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = jobs.run_in(self.request_dict)
        what = f"what follows the failure of job {self.id}"
        unit = jobs.open_unit(run, "block", what=what) if run is not None else None
        work = functools.partial(original, self, *args, **kwargs)
        return jobs.perform(unit, self.id, work) if unit is not None else work()

    return method


def _revoked(request: Any = None, terminated: bool = False, expired: bool = False, **_: Any) -> None:
    """Note a task that does not begin. One that was stopped in the middle has begun, and ends as its process does."""
    run = jobs.run_in(vars(request)) if request is not None and not terminated else None
    if run is not None:
        reason = "it expired before a worker began it" if expired else "it was revoked before a worker began it"
        jobs.drop(run, request.id, reason, asked=not expired)


def _unknown(message: Any = None, name: Any = None, id: Any = None, **_: Any) -> None:  # noqa: A002 - Celery's word
    """Note a task whose name the worker doesn't know: it throws the message away."""
    run = jobs.run_in(getattr(message, "headers", None))
    if run is not None:
        jobs.drop(run, str(id), f"its worker has no task {name}, and threw it away")


def _rejected(message: Any = None, exc: Any = None, **_: Any) -> None:
    """Note a message that the worker can't read: it throws it away."""
    headers = getattr(message, "headers", None)
    run = jobs.run_in(headers)
    job = task_id(headers, None) if run is not None else None
    if run is not None and job is not None:
        jobs.drop(run, job, f"its worker refused its message: {type(exc).__name__}: {exc}"[:300])
