"""The worker's side of RQ: a job that carries a profile is traced in whatever process performs it."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from . import anyone, jobs, runtime, settings
from .rq_job import OWED, PROMISED, RUNNING, TAKEN, run_of, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from . import units
    from .jobs import Run

log = logging.getLogger("playtrace_agent")
_installed = False

#: In a work horse that is a program of its own: its job's run, where the worker had to find it out without the meta.
recovered: Run | None = None


def install() -> None:
    """Trace the jobs of every class of worker. Once."""
    global _installed  # noqa: PLW0603 - the process has one `rq`
    if _installed:
        return
    _installed = True
    import rq.worker
    from rq.job import Job

    # A method may be RQ's own in some versions only, and a subclass may have one of its own.
    for cls in set(_family(rq.worker.BaseWorker)):
        for name, wrapper in (
            ("execute_job", _execute_job),
            ("perform_job", _perform_job),
            ("_handle_stopped_job", _stopped_by_worker),
        ):
            if name in cls.__dict__:
                wrap(cls, name, wrapper)
    wrap(Job, "execute_stopped_callback", _stopped_by_job)
    if anyone.by_route():
        wrap(Job, "_execute", _call)
    spawning = getattr(rq.worker, "SpawnWorker", None)
    if spawning is not None:
        wrap(spawning, "fork_work_horse", _spawn_work_horse)
    runtime.tell_setup("rq-worker")


def _family(cls: type[Any]) -> Iterator[type[Any]]:
    """Yield a class and all that derive from it."""
    yield cls
    for derived in cls.__subclasses__():
        yield from _family(derived)


def _spawn_work_horse(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the start of a work horse that is a new interpreter: it must switch the agent on before it works."""

    @functools.wraps(original)
    def fork_work_horse(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        from . import processes

        run = _take(job)
        if run is not None:
            variables = {settings.SLUG: run[0], settings.HORSE: settings.HORSE_KNOWS}
            if run_of(job) is None:
                variables |= {settings.RUN: run[1] or "", settings.HORSE: settings.HORSE_IS_TOLD}
            processes.pending.environment = {**runtime.current_settings().for_child(), **variables}
        try:
            return original(self, job, *args, **kwargs)
        finally:
            processes.pending.environment = None

    return fork_work_horse


def _execute_job(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the worker's parent process does with a job: the promise that a work horse starts."""

    @functools.wraps(original)
    def execute_job(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        run = _take(job)
        if run is not None:
            jobs.start(run, job.id, str(getattr(self, "name", "")))
        return original(self, job, *args, **kwargs)

    return execute_job


def _perform_job(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the work itself, success and failure callbacks included."""

    @functools.wraps(original)
    def perform_job(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return traced(job, lambda: original(self, job, *args, **kwargs), by_worker=True)

    return perform_job


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the call of the job's function: by then its name has been read. A job of a profile stays what it is."""

    @functools.wraps(original)
    def _execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        return anyone.job(self.func_name, functools.partial(original, self, *args, **kwargs))

    return _execute


def _stopped_by_job(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the stopped callback of RQ before 3.0."""

    @functools.wraps(original)
    def execute_stopped_callback(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _traced_afterwards(self, lambda: original(self, *args, **kwargs))

    return execute_stopped_callback


def _stopped_by_worker(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the stopped callback of RQ from 3.0 on."""

    @functools.wraps(original)
    def _handle_stopped_job(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return _traced_afterwards(job, lambda: original(self, job, *args, **kwargs))

    return _handle_stopped_job


def _traced_afterwards(job: Any, work: Callable[[], Any]) -> Any:
    """Trace what the worker's parent process does for a job whose work horse is gone.

    The unit is not one of the job's own: that the job itself was performed is for its work horse to say.
    """
    run = _take(job)
    unit = jobs.open_unit(run, "block", what=f"stopped callback of job {job.id}") if run is not None else None
    return jobs.within(unit, work)


def traced(job: Any, work: Callable[[], Any], *, by_worker: bool) -> Any:
    """Do a job's work as work of its profile, if it has one."""
    unit = _begin(job, by_worker=by_worker)
    if unit is None:
        return work()
    setattr(job, RUNNING, True)
    try:
        return jobs.within(unit, work)
    finally:
        setattr(job, RUNNING, False)


def _begin(job: Any, *, by_worker: bool) -> units.Unit | None:
    """Open a job's unit; ``None`` for one that belongs to no profile, or that is traced already.

    The job's function is not asked for: that would unpickle the arguments, which runs code of the app.
    """
    if job.__dict__.get(RUNNING):
        return None
    run = _take(job)
    if run is None:
        return None
    if by_worker and os.getpid() != runtime.started_pid():
        from . import _native

        runtime.guard("naming a work horse", lambda: _native.set_role("job"))
    unit = jobs.open_unit(run, "job", job=job.id)
    if unit is not None:
        log.info("worker tracing started: job %s, profile %s", job.id, run[0])
    return unit


def _take(job: Any) -> Run | None:
    """Find out, once, whose a job is that is to be performed; ``None``: nobody's."""
    state = job.__dict__
    run = run_of(job) or state.get(OWED) or recovered
    if run is None and not state.get(TAKEN):
        run = jobs.recover(job.id, "its meta was replaced")
    setattr(job, TAKEN, True)
    if run is not None:
        # A retry or a repetition is enqueued by the worker itself: it owes what this execution owes.
        setattr(job, OWED, run)
        setattr(job, PROMISED, True)
    return run
