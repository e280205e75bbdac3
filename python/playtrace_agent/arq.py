"""arq: jobs that traced work enqueues carry its profile, and workers trace them.

``install()`` does both, in the module that has the ``WorkerSettings``, and in the web app: it enqueues by name, without
that module. A job's definition in Redis is a mapping, to which slug and run are added: workers without the agent don't
look there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import pickle
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import anyone, jobs, leftovers, runtime, settings, units
from .jobs import RUN_KEY, SLUG_KEY, SlugMissingError
from .steps import Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from . import _native
    from .jobs import Run

__all__ = ["RUN_KEY", "SLUG_KEY", "SlugMissingError", "install"]

log = logging.getLogger("playtrace_agent")
_installed = False


class _Sent:
    """A call that enqueues a job."""

    def __init__(self, run: Run, job: str, queue: str) -> None:
        self.run, self.job, self.queue = run, job, queue
        self.promised = False


class _Taken:
    """A job that a worker of this process performs."""

    def __init__(self, job: str, queue: str) -> None:
        self.job, self.queue, self.function = job, queue, ""
        self.run: Run | None = None
        self.unit: units.Unit | None = None
        #: Of one that belongs to no profile, where real traffic is recorded by route.
        self.route: _native.Route | None = None
        #: Whether its definition could be read, and why it failed if it did.
        self.read, self.failure = False, None


_sending: ContextVar[_Sent | None] = ContextVar("playtrace_arq_sending", default=None)
_taken: ContextVar[_Taken | None] = ContextVar("playtrace_arq_taken", default=None)


def install() -> None:
    """Tag the jobs that traced work enqueues, and trace those of this process's workers. Once.

    The agent is switched on by the web app that imports the module, or by the worker when it starts. Does nothing where
    ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    global _installed  # noqa: PLW0603 - the process has one `arq`
    if _installed or not settings.enabled() or "arq" in settings.disabled():
        return
    settings.load()
    _installed = True
    # Not as attributes of their package: it may be in the middle of its own import.
    connections: Any = importlib.import_module("arq.connections")
    worker: Any = importlib.import_module("arq.worker")
    redis, kind = connections.ArqRedis, worker.Worker
    redis.enqueue_job = _enqueue_job(redis.enqueue_job)
    connections.serialize_job = _serialize_job(connections.serialize_job)
    worker.deserialize_job_raw = _deserialize_job_raw(worker.deserialize_job_raw)
    worker.serialize_result = _serialize_result(worker.serialize_result)
    kind.main, kind.close = _main(kind.main), _close(kind.close)
    kind.run_job = _run_job(kind.run_job)
    kind.finish_job, kind.finish_failed_job = _finish_job(kind.finish_job), _finish_failed_job(kind.finish_failed_job)
    runtime.tell_setup("arq")


def _enqueue_job(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def enqueue_job(
        self: Any, function: str, *args: Any, _job_id: str | None = None, _queue_name: str | None = None, **more: Any
    ) -> Any:
        run = units.current_run()
        if run is None:
            return await original(self, function, *args, _job_id=_job_id, _queue_name=_queue_name, **more)
        # As arq makes one.
        sent = _Sent(run, _job_id or uuid.uuid4().hex, str(_queue_name or self.default_queue_name))
        before = _sending.get()
        try:
            _sending.set(sent)
            job = await original(self, function, *args, _job_id=sent.job, _queue_name=_queue_name, **more)
        except BaseException as error:
            if sent.promised:
                jobs.withdraw(run, sent.job, error)
            raise
        finally:
            _sending.set(before)
        if job is None and sent.promised:
            jobs.withdraw(run, sent.job, ValueError("another job took this id at the same moment"))
        return job

    return enqueue_job


def _serialize_job(original: Callable[..., bytes]) -> Callable[..., bytes]:
    """Wrap what writes a job's definition, when it is known that there is no job of its id yet."""

    @functools.wraps(original)
    def serialize_job(function: str, *args: Any, serializer: Any = None, **kwargs: Any) -> bytes:
        sent = _sending.get()
        if sent is None:
            return original(function, *args, serializer=serializer, **kwargs)
        write, run = serializer or pickle.dumps, sent.run

        def writing(data: dict[str, Any]) -> bytes:
            written: bytes = write(jobs.tag(data, run))
            return written

        data = original(function, *args, serializer=writing, **kwargs)
        sent.promised = True
        jobs.promise(run, sent.job, function, sent.queue)
        return data

    return serialize_job


def _main(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Wrap what a worker does: the agent is on before the first job."""

    @functools.wraps(original)
    async def main(self: Any) -> None:
        if runtime.start("worker"):
            runtime.tell_setup("arq-worker")
        await original(self)

    return main


def _close(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(original)
    async def close(self: Any) -> None:
        try:
            await original(self)
        finally:
            # Nothing of its jobs goes on: what they left behind can be let go of.
            leftovers.let_all_go()
            units.flush()

    return close


class _Pieces(Steps):
    """What a worker does for a job, from the moment on at which it is known whose that is."""

    __slots__ = ("_taken",)

    def __init__(self, taken: _Taken, work: Coroutine[Any, Any, None]) -> None:
        self._taken, self._coroutine = taken, work

    def step(self, work: Callable[..., Any], /, *args: Any) -> Any:
        native = runtime.native
        if self._taken.unit is not None:
            return native.call_within(self._taken.unit, work, *args)
        before = native.held()
        try:
            # In the middle of it, `_deserialize_job_raw` may enter the job's unit.
            return work(*args)
        finally:
            if self._taken.route is None:
                native.enter(before)
            before = None


def _run_job(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Wrap the work itself: a task of its own, with the hooks around the job and what is written when it is over."""

    @functools.wraps(original)
    async def run_job(self: Any, job_id: str, *args: Any, **kwargs: Any) -> None:
        # These variables are the task's.
        taken = _Taken(job_id, str(self.queue_name))
        _taken.set(taken)
        jobs.performed.set(job_id)
        try:
            await _Pieces(taken, original(self, job_id, *args, **kwargs))
        finally:
            if taken.route is not None:
                runtime.native.leave_found_route(None)
            unit = taken.unit
            if unit is not None:
                try:
                    runtime.guard("letting go of a job", lambda: leftovers.let_go(unit))
                finally:
                    units.end(unit)

    return run_job


def _deserialize_job_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the reading of a job's definition: what comes after it is work of the job's profile."""

    @functools.wraps(original)
    def deserialize_job_raw(data: bytes, *, deserializer: Any = None) -> Any:
        taken = _taken.get()
        if taken is None:
            return original(data, deserializer=deserializer)
        read = deserializer or pickle.loads

        def reading(data: bytes) -> Any:
            found = read(data)
            taken.run = jobs.run_in(found)
            return found

        result = original(data, deserializer=reading)
        taken.read, taken.function = True, str(result[0])
        taken.run = taken.run or jobs.recover(taken.job, "its definition was replaced")
        if taken.run is not None:
            taken.unit = jobs.open_unit(taken.run, "job", job=taken.job)
        if taken.unit is not None:
            runtime.native.enter(taken.unit)
        elif taken.run is None:
            taken.route = anyone.enter_job(taken.function)
        return result

    return deserialize_job_raw


def _serialize_result(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what writes down how a job ended: a failure has its reason there."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def serialize_result(*args: Any, **kwargs: Any) -> Any:
        taken = _taken.get()
        if taken is not None:
            taken.failure = signature.bind(*args, **kwargs).arguments.get("result")
        return original(*args, **kwargs)

    return serialize_result


def _finish_job(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Wrap the end of an execution: one that asks for another one (a retry, say) leaves the job there."""

    @functools.wraps(original)
    async def finish_job(self: Any, job_id: str, finish: bool, *args: Any, **kwargs: Any) -> None:
        taken = _taken.get()
        if not finish and taken is not None and taken.run is not None:
            jobs.promise(taken.run, job_id, taken.function, taken.queue)
        await original(self, job_id, finish, *args, **kwargs)

    return finish_job


def _finish_failed_job(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Wrap the end of a job that was not begun: expired, aborted, tried too often, of a function that is not there."""

    @functools.wraps(original)
    async def finish_failed_job(self: Any, job_id: str, *args: Any, **kwargs: Any) -> None:
        import asyncio

        taken = _taken.get()
        if taken is not None:
            # Where there is nothing left to read, the note that its promise left says whose it was.
            run = taken.run or (None if taken.read else jobs.noted(job_id))
            asked = isinstance(taken.failure, asyncio.CancelledError)
            reason = "it was aborted before it began" if asked else f"its worker gave it up: {taken.failure}"
            if run is not None:
                jobs.drop(run, job_id, reason[:300], asked=asked)
        await original(self, job_id, *args, **kwargs)

    return finish_failed_job
