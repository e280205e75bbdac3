"""The queue's side of RQ: a job that traced work makes is tagged and promised before a worker can see it."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, Any

from . import jobs, onimport, rq_worker, runtime, units
from .jobs import SLUG_KEY, SlugMissingError
from .rq_job import MISSED, OWED, PROMISED, TAKEN, run_of, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from .jobs import Run

_HOOK = "rq-queue"
_expected = False
_installed = False


def expect() -> None:
    """Do what :func:`install` does, now or when RQ is imported. Many processes whose environment has it never do."""
    global _expected  # noqa: PLW0603 - the process has one `rq`
    if "rq" in sys.modules:
        install()
    elif not _expected:
        _expected = True
        onimport.install({"rq": lambda _module: install()})
        # It is in place: the doctor looks whether a web process can.
        runtime.tell_setup(_HOOK)


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
        # One may only add to the pipeline of another one.
        wrap(Queue, name, functools.partial(jobs.withdrawing, together=True))
    wrap(Queue, "run_sync", _run_sync)
    # Where it was expected, only RQ's release is news.
    runtime.tell_setup(*(() if _expected else (_HOOK,)))


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create(cls: Any, *args: Any, **kwargs: Any) -> Any:
        job = original(cls, *args, **kwargs)
        run = units.current_run()
        if run is not None:
            setattr(job, OWED, run)
            job.meta = jobs.tag(job.meta or {}, run)
            runtime.say(logging.INFO, "job tagged: %s (%s), profile %s", job.id, _function(job), run[0])
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
    jobs.may_fail(functools.partial(_withdraw, run, job))


def _note(job: Any, run: Run) -> None:
    jobs.promise(run, job.id, _function(job), str(job.origin or ""))


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
    message = (
        f"job {job.id} ({_function(job)}) is enqueued by work of profile {owed[0]}, but its meta lost {SLUG_KEY}: "
        "add to job.meta, don't replace it"
    )
    if runtime.current_settings().strict and not job.__dict__.get(TAKEN):
        raise SlugMissingError(message)
    setattr(job, MISSED, True)
    jobs.miss(owed, message)


def _withdraw(run: Run, job: Any, error: BaseException) -> None:
    if _is_there_already(job, run, error):
        return
    # Should the app try again, it is promised again.
    setattr(job, PROMISED, False)
    jobs.withdraw(run, job.id, error)


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
