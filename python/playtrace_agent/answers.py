"""The results of calls of process pools, on their way back.

A worker pickles a result or an exception, and a thread of the process that submitted the call unpickles it: both run
the app's code (``__reduce__``, ``__setstate__``, ``__str__`` of an exception) for the work that submitted it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, units

if TYPE_CHECKING:
    from types import ModuleType

#: Units of this process that last until the result of a call is here, by the token of the call.
_awaited: dict[str, units.Unit] = {}
#: ``multiprocessing.queues``, whose queues workers use.
_queues: Any = None


class _Made(NamedTuple):
    """A call that was made, and whose result is not on its way yet."""

    unit: units.Unit
    #: What the thread belonged to before the call.
    before: _native.Held
    child: str


class _Last(threading.local):
    made: _Made | None = None


_last = _Last()


def change_messages(module: ModuleType) -> None:
    """Learn of ``multiprocessing.queues``."""
    global _queues  # noqa: PLW0603 - the process has one such module
    _queues = module


def leave(unit: units.Unit, before: _native.Held, child: str) -> None:
    """Leave a call that was made: what the worker does with its result is still part of it.

    A worker goes straight on to send the result, so the next message of this thread is the result. Only until then do
    messages take another way.
    """
    if _queues is None:
        _native.enter(before)
        units.end(unit)
        return
    _last.made = _Made(unit, before, child)
    _queues._ForkingPickler = _Sealing(_queues._ForkingPickler)


def leave_last() -> None:
    """End a call whose result is on its way, or was never sent."""
    made, _last.made = _last.made, None
    if made is None:
        return
    sealing = _queues._ForkingPickler
    if isinstance(sealing, _Sealing):
        _queues._ForkingPickler = sealing.pickler
    _native.enter(made.before)
    units.end(made.unit)


class _Sealing:
    """Stands for a pickler while a result is to be sent."""

    def __init__(self, pickler: Any) -> None:
        self.pickler = pickler

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pickler, name)

    def dumps(self, obj: Any, *args: Any) -> Any:
        """Pickle a message, with the call that it answers."""
        made = _last.made
        if made is None:
            # Another thread's.
            return self.pickler.dumps(obj, *args)
        # If this fails, the worker sends an error instead: not before that has been pickled is the call over.
        payload = bytes(self.pickler.dumps(obj, *args))
        leave_last()
        return self.pickler.dumps(_Sealed(made.child, payload))


class _Sealed:
    """A worker's whole message, pickled, and the call that it answers."""

    def __init__(self, child: str, payload: bytes) -> None:
        self.child, self.payload = child, payload

    def __reduce__(self) -> tuple[Any, ...]:
        return receive, (self.child, self.payload)


def wait(child: str, unit: units.Unit) -> None:
    """Let a unit last until the result of a call is here."""
    _awaited[child] = unit


def forget(child: str) -> None:
    """No result will come, or it has come."""
    unit = _awaited.pop(child, None)
    if unit is not None:
        units.end(unit)


def awaiting(child: str) -> units.Unit | None:
    """Return the unit that waits for the result of a call; ``None`` before it was sent and after the result came."""
    return _awaited.get(child)


def receive(child: str, payload: bytes) -> Any:
    """Unpickle a worker's message as part of the work that waits for it."""
    from . import workitems

    unit = _awaited.pop(child, None)
    if unit is None:
        return workitems.pickler().loads(payload)
    try:
        return _native.call_within(unit, workitems.pickler().loads, payload)
    finally:
        units.end(unit)
