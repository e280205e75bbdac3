"""Huey: tasks that traced work enqueues carry its profile, and consumers trace them.

``install()`` does both, in the module that makes the ``Huey``: web processes and consumers import it. A message of
Huey's has no place for others' values. It is a pickle, and what stands behind a pickle's end is ignored by whoever
reads it (documented for ``pickle.loads``): there, slug and run are. A consumer without the agent reads the same task.
"""

from __future__ import annotations

import functools
import json
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import anyone, jobs, runtime, settings, units
from .jobs import RUN_KEY, SLUG_KEY, SlugMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .jobs import Run

__all__ = ["RUN_KEY", "SLUG_KEY", "SlugMissingError", "install"]

log = logging.getLogger("playtrace_agent")
_installed = False

#: Ends the bytes of a tagged message, after what it carries and the length of that. A pickle ends with a dot.
_END = b" playtrace"
#: How many digits a length has.
_DIGITS = 8
#: On a task: the run that its message named.
_RUN = "_playtrace_run"

#: What the message that is written now carries, and whether it has been written down.
_writing: ContextVar[dict[str, Any] | None] = ContextVar("playtrace_huey_writing", default=None)
#: What the message that was read last carries, its task's id and name.
_read: ContextVar[tuple[Run | None, str, str] | None] = ContextVar("playtrace_huey_read", default=None)
#: Whether messages that are read leave the queue.
_taking: ContextVar[bool] = ContextVar("playtrace_huey_taking", default=False)


def install() -> None:
    """Tag the tasks that traced work enqueues, and trace those of this process's consumer. Once.

    The agent is switched on by the web app that imports the module, or by the consumer when it starts. Does nothing
    where ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    global _installed  # noqa: PLW0603 - the process has one `huey`
    if _installed or not settings.enabled() or "huey" in settings.disabled():
        return
    settings.load()
    _installed = True
    from huey.api import Huey
    from huey.consumer import Consumer
    from huey.serializer import Serializer

    kind: Any = Huey
    serializer: Any = Serializer
    consumer: Any = Consumer
    kind.enqueue = jobs.withdrawing(_enqueue(kind.enqueue))
    kind.add_schedule = jobs.withdrawing(_add_schedule(kind.add_schedule))
    kind.serialize_task = _serialize_task(kind.serialize_task)
    kind.deserialize_task = _deserialize_task(kind.deserialize_task)
    kind.dequeue, kind.read_schedule = _take(kind.dequeue), _take(kind.read_schedule)
    kind._execute = _execute(kind._execute)
    kind._emit = _emit(kind._emit)
    serializer._serialize = _serialize(serializer._serialize)
    serializer._deserialize = _deserialize(serializer._deserialize)
    consumer.start = _start(consumer.start)
    runtime.tell_setup("huey")


def _start(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the start of a consumer: the agent is on before its workers are made."""

    @functools.wraps(original)
    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        if runtime.start("worker"):
            runtime.tell_setup("huey-worker")
        original(self, *args, **kwargs)

    return start


def _enqueue(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what puts a task into the queue. Groups and chords come back here with their tasks."""
    from huey.api import Task

    @functools.wraps(original)
    def enqueue(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        run = units.current_run() if isinstance(task, Task) else None
        if run is not None:
            _promise(self, task, run)
        return original(self, task, *args, **kwargs)

    return enqueue


def _add_schedule(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what puts a task off. One that is put off before it was begun is promised already."""

    @functools.wraps(original)
    def add_schedule(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        run = units.current_run()
        if run is not None and jobs.performed.get() == task.id:
            _promise(self, task, run)
        return original(self, task, *args, **kwargs)

    return add_schedule


def _promise(huey: Any, task: Any, run: Run) -> None:
    vars(task)[_RUN] = run
    jobs.promise(run, task.id, f"{type(task).__module__}.{task.name}", str(huey.name))
    jobs.may_fail(functools.partial(jobs.withdraw, run, task.id))


def _serialize_task(original: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(original)
    def serialize_task(self: Any, task: Any) -> bytes:
        # A task that is put off, or whose time has come, is written again by nobody's threads.
        run = vars(task).get(_RUN)
        if run is None:
            return original(self, task)
        carried = jobs.tag({}, run)
        before = _writing.get()
        try:
            _writing.set(carried)
            data = original(self, task)
        finally:
            _writing.set(before)
        if "written" not in carried and units.current_run() is not None:
            message = (
                f"task {task.id} ({type(task).__module__}.{task.name}) is enqueued by work of profile {run[0]}, but "
                f"{type(self.serializer).__name__} leaves no place for {SLUG_KEY}: derive it from huey's Serializer"
            )
            jobs.miss(run, message)
            if runtime.current_settings().strict:
                raise SlugMissingError(message)
        return data

    return serialize_task


def _serialize(original: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(original)
    def _serialize(self: Any, data: Any) -> bytes:
        pickled = original(self, data)
        carried = _writing.get()
        if carried is None:
            return pickled
        text = json.dumps(carried).encode()
        carried["written"] = True
        return pickled + text + b"%0*d" % (_DIGITS, len(text)) + _END

    return _serialize


def _deserialize(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _deserialize(self: Any, data: bytes) -> Any:
        message = original(self, data)
        if hasattr(message, "id") and hasattr(message, "name"):
            _read.set((_carried(data), str(message.id), str(message.name)))
        return message

    return _deserialize


def _carried(data: bytes) -> Run | None:
    if not data.endswith(_END):
        return None
    end = len(data) - len(_END) - _DIGITS
    try:
        return jobs.run_in(json.loads(data[end - int(data[end : end + _DIGITS]) : end]))
    except ValueError:
        return None


def _deserialize_task(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def deserialize_task(self: Any, data: bytes) -> Any:
        _read.set(None)
        try:
            task = original(self, data)
        except Exception as error:
            run, job, name = _read.get() or (None, "", "")
            if run is not None and _taking.get():
                reason = f"its consumer can't make {name} of its message, and threw it away: {error}"
                jobs.drop(run, job, reason[:300])
            raise
        read = _read.get()
        if read is not None and read[0] is not None:
            vars(task)[_RUN] = read[0]
        return task

    return deserialize_task


def _take(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what takes messages out of Huey's storage, other than looking at them."""

    @functools.wraps(original)
    def take(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = _taking.get()
        try:
            _taking.set(True)
            return original(self, *args, **kwargs)
        finally:
            _taking.set(before)

    return take


def _execute(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the work itself: the task, the hooks around it, and what is enqueued when it is over."""

    @functools.wraps(original)
    def _execute(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        work = functools.partial(original, self, task, *args, **kwargs)
        if not runtime.started():
            return work()
        run = vars(task).get(_RUN) or jobs.recover(task.id, "its message was replaced")
        unit = jobs.open_unit(run, "job", job=task.id) if run is not None else None
        return jobs.perform(unit, task.id, work) if unit is not None else anyone.job(task.name, work)

    return _execute


def _emit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the sending of Huey's signals: they are those of each ``Huey``, and some tell that a task does not run."""
    from huey import signals

    told = {
        signals.SIGNAL_REVOKED: ("it was revoked before a consumer began it", True),
        signals.SIGNAL_EXPIRED: ("it expired before a consumer began it", False),
    }

    @functools.wraps(original)
    def _emit(self: Any, signal: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        run = vars(task).get(_RUN) if signal in told and runtime.started() else None
        if run is not None:
            reason, asked = told[signal]
            jobs.drop(run, task.id, reason, asked=asked)
        return original(self, signal, task, *args, **kwargs)

    return _emit
