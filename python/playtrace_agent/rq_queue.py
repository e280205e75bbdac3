"""The queue's side of RQ: a job that traced work makes is tagged and promised before a worker can see it."""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from . import rq_worker, runtime, units
from .rq_job import MISSED, OWED, PROMISED, RUN_KEY, SLUG_KEY, TAKEN, SlugMissingError, run_of, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rq_job import Run


class _Enqueueing(threading.local):
    """Jobs promised inside the calls of ``Queue`` under way in this thread, the innermost last."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[Run, Any]]] = []


_enqueueing = _Enqueueing()
_installed = False


def install() -> None:
    """Tag and promise the jobs that traced work enqueues. Once."""
    global _installed  # noqa: PLW0603 - the process has one `rq`
    if _installed:
        return
    _installed = True
    from rq.job import Job
    from rq.queue import Queue

    job_class: Any = Job
    job_class.create = classmethod(_create(job_class.create.__func__))
    job_class.to_dict = _to_dict(job_class.to_dict)
    for name in ("enqueue_call", "enqueue_many", "enqueue_job", "schedule_job"):
        wrap(Queue, name, _withdrawing)
    wrap(Queue, "run_sync", _run_sync)
    runtime.tell_setup("rq-queue")


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create(cls: Any, *args: Any, **kwargs: Any) -> Any:
        job = original(cls, *args, **kwargs)
        run = units.current_run()
        if run is not None:
            slug, token = run
            setattr(job, OWED, run)
            meta = job.meta or {}
            # An app that names another profile names no run of it: ours would be none of that profile's.
            ours = {} if SLUG_KEY in meta else {SLUG_KEY: slug, **({RUN_KEY: token} if token else {})}
            job.meta = {**ours, **meta}
            runtime.say(logging.INFO, "job tagged: %s (%s), profile %s", job.id, _function(job), slug)
        return job

    return create


def _to_dict(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what every version of RQ calls right before a job goes to Redis, ``unique`` jobs included."""

    @functools.wraps(original)
    def to_dict(self: Any, include_meta: bool = True, *args: Any, **kwargs: Any) -> Any:
        owed = self.__dict__.get(OWED)
        if owed is not None and include_meta:
            if not self.__dict__.get(PROMISED):
                _promise(self, owed)
            elif SLUG_KEY not in (self.meta or {}) and not self.__dict__.get(MISSED):
                # It was lost since: the next execution of a retried or repeated job would be nobody's.
                _miss(self, owed)
                _note(self, owed)
        return original(self, include_meta, *args, **kwargs)

    return to_dict


def _promise(job: Any, owed: Run) -> None:
    if SLUG_KEY not in (job.meta or {}):
        _miss(job, owed)
        run = owed
    else:
        # The app may say whose job it is: that run's ledger is promised it.
        run = run_of(job) or owed
    setattr(job, PROMISED, True)
    _note(job, run)
    if _enqueueing.calls:
        _enqueueing.calls[-1].append((run, job))


def _note(job: Any, run: Run) -> None:
    """Write the promise into the ledger, and beside it whose job it is, in case that its meta is replaced."""
    from . import _native

    def enqueue() -> None:
        _native.enqueue(*run, job.id, _function(job), str(job.origin or ""))

    runtime.guard("promising a job", enqueue)


def _function(job: Any) -> str:
    """Return the name of a job's function. A job that was read from Redis may have one that can't be read."""
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001 - RQ says so itself when it performs the job
        return "(unreadable)"


def _miss(job: Any, owed: Run) -> None:
    """Tell the ledger that a job lost its slug.

    Raises:
        SlugMissingError: ``PROFILE_COVERAGE_STRICT`` is on. Not for a job that is performed here: what enqueues it
            again is RQ's own bookkeeping, and the job would be stuck half-way.
    """
    from . import _native

    slug, run = owed
    message = (
        f"job {job.id} ({_function(job)}) is enqueued by work of profile {slug}, but its meta lost {SLUG_KEY}: "
        "add to job.meta, don't replace it"
    )
    if runtime.current_settings().strict and not job.__dict__.get(TAKEN):
        raise SlugMissingError(message)
    setattr(job, MISSED, True)
    runtime.say(logging.WARNING, "%s", message)
    runtime.guard("noting a job without its slug", lambda: _native.owed(slug, run, message))


def _withdrawing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of ``Queue``: what was promised in a call that fails is taken back."""

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        _enqueueing.calls.append([])
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            _withdraw(_enqueueing.calls.pop(), error)
            raise
        inner = _enqueueing.calls.pop()
        if _enqueueing.calls:
            _enqueueing.calls[-1].extend(inner)
        return result

    return call


def _withdraw(promised: list[tuple[Run, Any]], error: BaseException) -> None:
    from . import _native

    for run, job in promised:
        if _is_there_already(job, run, error):
            continue
        # Should the app try again, it is promised again.
        setattr(job, PROMISED, False)
        reason = f"enqueueing it failed: {type(error).__name__}: {error}"[:300]
        runtime.guard("withdrawing a job", functools.partial(_native.withdraw, *run, job.id, reason))


def _is_there_already(job: Any, run: Run, error: BaseException) -> bool:
    """Say whether a job was refused because the same run has enqueued it before: that promise still stands.

    RQ 2.7 and later refuse a ``unique`` job whose id is taken.
    """
    if type(error).__name__ != "DuplicateJobError":
        return False
    try:
        there = type(job).fetch(job.id, connection=job.connection, serializer=job.serializer)
    except Exception:  # noqa: BLE001 - it has gone since, or Redis has
        return False
    return run_of(there) == run


def _run_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what a queue with ``is_async=False`` does instead of calling a worker."""

    @functools.wraps(original)
    def run_sync(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return rq_worker.traced(job, lambda: original(self, job, *args, **kwargs), by_worker=False)

    return run_sync
