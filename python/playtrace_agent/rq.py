"""RQ: jobs that traced work enqueues carry its profile, and workers trace them.

``install()`` does both; a web process needs only the queue's side, which ``playtrace_agent.flask.init_app`` sees to.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from . import runtime, settings, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("playtrace_agent")

SLUG_KEY = "profile_trace_slug"
RUN_KEY = "profile_trace_run"

#: On a job object that traced work made: the slug and run that it owes to its meta.
_OWED = "_playtrace_owed"
#: On a job object: its promise is in the ledger.
_PROMISED = "_playtrace_promised"
#: On a job object while it is performed.
_RUNNING = "_playtrace_running"


class SlugMissingError(RuntimeError):
    """With ``PROFILE_COVERAGE_STRICT``: a job that traced work enqueues does not carry its profile."""


class _Enqueueing(threading.local):
    """Jobs promised inside the calls of ``Queue`` under way in this thread, the innermost last."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, str | None, str]]] = []


_enqueueing = _Enqueueing()
_installed: set[str] = set()


def install(role: str = "worker") -> None:
    """Trace the jobs of this process's workers, and tag the jobs that traced work enqueues.

    For a worker's start-up, before it begins to work. Does nothing where ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    if not runtime.start(role):
        return
    _install_queue()
    _install_worker()


def install_queue_if_present() -> None:
    """Tag jobs if RQ is installed."""
    if runtime.started() and importlib.util.find_spec("rq") is not None:
        _install_queue()


def __getattr__(name: str) -> Any:
    """Make ``playtrace_agent.rq.Worker`` when it is asked for: RQ need not be installed."""
    if name != "Worker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import rq

    install()

    class Worker(rq.Worker):
        """``rq.Worker`` with tracing, for ``rq worker --worker-class playtrace_agent.rq.Worker``."""

    Worker.__module__ = __name__
    globals()["Worker"] = Worker
    return Worker


# --- the queue's side ---------------------------------------------------------------------------------------------


def _install_queue() -> None:
    if "queue" in _installed:
        return
    _installed.add("queue")
    from rq.job import Job
    from rq.queue import Queue

    job_class: Any = Job
    job_class.create = classmethod(_create(job_class.create.__func__))
    job_class.to_dict = _to_dict(job_class.to_dict)
    for name in ("enqueue_call", "enqueue_many", "enqueue_job", "schedule_job"):
        _wrap(Queue, name, _withdrawing)
    _wrap(Queue, "run_sync", _run_sync)


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create(cls: Any, *args: Any, **kwargs: Any) -> Any:
        job = original(cls, *args, **kwargs)
        run = units.current_run()
        if run is not None:
            slug, token = run
            setattr(job, _OWED, run)
            job.meta = {SLUG_KEY: slug, **({RUN_KEY: token} if token else {}), **(job.meta or {})}
            runtime.say(logging.INFO, "job tagged: %s (%s), profile %s", job.id, job.func_name, slug)
        return job

    return create


def _to_dict(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what every version of RQ calls right before a job goes to Redis."""

    @functools.wraps(original)
    def to_dict(self: Any, include_meta: bool = True, *args: Any, **kwargs: Any) -> Any:
        owed = self.__dict__.get(_OWED)
        if owed is not None and include_meta and not self.__dict__.get(_PROMISED):
            _promise(self, owed)
        return original(self, include_meta, *args, **kwargs)

    return to_dict


def _promise(job: Any, owed: tuple[str, str | None]) -> None:
    from . import _native

    slug, run = owed
    meta = job.meta or {}
    if SLUG_KEY not in meta:
        message = (
            f"job {job.id} ({job.func_name}) is enqueued by work of profile {slug}, but its meta lost {SLUG_KEY}: "
            "add to job.meta, don't replace it"
        )
        if runtime.current_settings().strict:
            raise SlugMissingError(message)
        runtime.say(logging.WARNING, "%s", message)
        runtime.guard("noting a job without its slug", lambda: _native.owed(slug, run, message))
    elif (meta[SLUG_KEY], meta.get(RUN_KEY)) != owed:
        # The app says whose job it is: that run's ledger is promised it.
        slug, run = str(meta[SLUG_KEY]), meta.get(RUN_KEY)
    setattr(job, _PROMISED, True)

    def enqueue() -> None:
        _native.enqueue(slug, run, job.id, str(job.func_name), str(job.origin or ""))
        if _enqueueing.calls:
            _enqueueing.calls[-1].append((slug, run, job.id))

    runtime.guard("promising a job", enqueue)


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


def _withdraw(promised: list[tuple[str, str | None, str]], error: BaseException) -> None:
    from . import _native

    for slug, run, job in promised:
        reason = f"enqueueing it failed: {type(error).__name__}: {error}"[:300]
        runtime.guard("withdrawing a job", functools.partial(_native.withdraw, slug, run, job, reason))


def _run_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what a queue with ``is_async=False`` does instead of calling a worker."""

    @functools.wraps(original)
    def run_sync(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return _traced(job, lambda: original(self, job, *args, **kwargs), by_worker=False)

    return run_sync


# --- the worker's side --------------------------------------------------------------------------------------------


def _install_worker() -> None:
    if "worker" in _installed:
        return
    _installed.add("worker")
    import rq.worker

    for cls in set(_family(rq.worker.BaseWorker if hasattr(rq.worker, "BaseWorker") else rq.Worker)):
        for name, wrapper in (("execute_job", _execute_job), ("perform_job", _perform_job)):
            if name in cls.__dict__:
                _wrap(cls, name, wrapper)
    spawning = getattr(rq.worker, "SpawnWorker", None)
    if spawning is not None:
        _wrap(spawning, "fork_work_horse", _spawn_work_horse)


def _spawn_work_horse(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the start of a work horse that is a new interpreter: it must switch the agent on before it works."""

    @functools.wraps(original)
    def fork_work_horse(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        from . import processes

        run = _run_of(job)
        if run is not None:
            variables = {settings.SLUG: run[0], settings.HORSE: "1"}
            processes.pending.environment = {**runtime.current_settings().for_child(), **variables}
        try:
            return original(self, job, *args, **kwargs)
        finally:
            processes.pending.environment = None

    return fork_work_horse


def _family(cls: type[Any]) -> Iterator[type[Any]]:
    """Yield a class and all that derive from it."""
    yield cls
    for derived in cls.__subclasses__():
        yield from _family(derived)


def _execute_job(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the worker's parent process does with a job: the promise that a work horse starts."""

    @functools.wraps(original)
    def execute_job(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        run = _run_of(job)
        if run is not None:
            from . import _native

            slug, token = run
            runtime.guard(
                "noting a job's start",
                lambda: _native.job_start(slug, token, job.id, str(getattr(self, "name", ""))),
            )
        return original(self, job, *args, **kwargs)

    return execute_job


def _perform_job(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the work itself, success and failure callbacks included."""

    @functools.wraps(original)
    def perform_job(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return _traced(job, lambda: original(self, job, *args, **kwargs), by_worker=True)

    return perform_job


def _traced(job: Any, work: Callable[[], Any], *, by_worker: bool) -> Any:
    unit = _begin(job, by_worker=by_worker)
    if unit is None:
        return work()
    from . import _native

    setattr(job, _RUNNING, True)
    before = None
    try:
        before = _native.enter(unit.number)
        return work()
    finally:
        _native.enter(before)
        setattr(job, _RUNNING, False)
        units.end(unit)


def _begin(job: Any, *, by_worker: bool) -> units.Unit | None:
    """Open a job's unit; ``None`` for one that belongs to no profile, or that is traced already.

    The job's function is not asked for: that would unpickle the arguments, which runs code of the app.
    """
    if job.__dict__.get(_RUNNING):
        return None
    run = _run_of(job) or _recover(job)
    if run is None:
        return None
    slug, token = run
    from . import _native

    try:
        if by_worker and os.getpid() != runtime.started_pid():
            _native.set_role("job")
        unit = units.begin("job", slug, token, job=job.id)
    except (ValueError, _native.TraceError) as error:
        log.warning("not traced: job %s of profile %s: %s", job.id, slug, error)
        return None
    except Exception:
        log.warning("not traced: job %s of profile %s", job.id, slug, exc_info=True)
        return None
    log.info("worker tracing started: job %s, profile %s", job.id, slug)
    return unit


def _run_of(job: Any) -> tuple[str, str | None] | None:
    """Return the slug and run that a job's meta names."""
    try:
        meta = job.meta or {}
        slug, run = meta.get(SLUG_KEY), meta.get(RUN_KEY)
    except Exception:  # noqa: BLE001 - meta that can't be read is the app's affair
        return None
    return (str(slug), str(run) if run else None) if slug else None


def _recover(job: Any) -> tuple[str, str | None] | None:
    """Find the run of a job whose meta was replaced after it was enqueued. It owes its slug: the verdict says so."""
    from . import _native

    try:
        run = _native.promised_run(job.id)
        if run is not None:
            slug, token = run
            message = f"job {job.id} came to its worker without {SLUG_KEY}: its meta was replaced"
            log.warning("%s (profile %s)", message, slug)
            _native.owed(slug, token, message)
    except Exception:
        log.warning("can't find out whether job %s belongs to a profile", job.id, exc_info=True)
        return None
    return run


def _wrap(cls: Any, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(cls, name, None)
    if original is not None:
        setattr(cls, name, wrapper(original))
