"""The results of calls of process pools, on their way back.

A worker pickles a result or an exception, and a thread of the process that submitted the call unpickles it: both run
the app's code (``__reduce__``, ``__setstate__``, ``__str__`` of an exception) for the work that submitted it.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, units

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: Units of this process that last until the result of a call is here, by the token of the call.
_awaited: dict[str, units.Unit] = {}
#: The module of joblib's own pools, on which it builds where it is told to use ``multiprocessing``.
JOBLIB = "joblib.pool"
#: ``multiprocessing.queues``, whose queues workers use.
_queues: Any = None


class _Made(NamedTuple):
    """A call that was made, and whose result is not on its way yet."""

    unit: units.Unit
    #: What the thread belonged to before the call.
    before: _native.Held
    child: str
    #: Lets messages take their usual way again.
    restore: Callable[[], None]


class _Last(threading.local):
    made: _Made | None = None


_last = _Last()


def change_messages(module: ModuleType) -> None:
    """Learn of ``multiprocessing.queues``."""
    global _queues  # noqa: PLW0603 - the process has one such module
    _queues = module


def leave(unit: units.Unit, before: _native.Held, child: str, package: str = "") -> None:
    """Leave a call that was made: what the worker does with its result is still part of it.

    A worker goes straight on to send the result, so the next message of this thread is the result. Only until then do
    messages take another way.
    """
    module, name, kind = _pickling(package)
    if module is None:
        _native.enter(before)
        units.end(unit)
        return

    def restore() -> None:
        sealing = getattr(module, name)
        if isinstance(sealing, kind):
            setattr(module, name, sealing.original)

    _last.made = _Made(unit, before, child, restore)
    setattr(module, name, kind(getattr(module, name)))


def _pickling(package: str) -> tuple[Any, str, type[Any]]:
    """Return the module with what a package's workers pickle messages by, its name there, and what stands for it."""
    if not package:
        return _queues, "_ForkingPickler", _Sealing
    if package == JOBLIB:
        return sys.modules.get(JOBLIB), "CustomizablePickler", _SealingClass
    return sys.modules.get(f"{package}.backend.queues"), "dumps", _SealingFunction


def leave_last() -> None:
    """End a call whose result is on its way, or was never sent."""
    made, _last.made = _last.made, None
    if made is None:
        return
    made.restore()
    _native.enter(made.before)
    units.end(made.unit)


def _sealed(dumps: Callable[..., Any], obj: Any, *args: Any, **named: Any) -> Any:
    """Pickle a message, with the call that it answers."""
    made = _last.made
    if made is None:
        # Another thread's.
        return dumps(obj, *args, **named)
    # If this fails, the worker sends an error instead: not before that has been pickled is the call over.
    payload = bytes(dumps(obj, *args, **named))
    leave_last()
    return dumps(_Sealed(made.child, payload))


class _Sealing:
    """Stands for a pickler while a result is to be sent."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def dumps(self, obj: Any, *args: Any) -> Any:
        """Pickle a message, with the call that it answers."""
        return _sealed(self.original.dumps, obj, *args)


class _SealingFunction:
    """Stands for a function that pickles, likewise."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __call__(self, obj: Any, *args: Any, **named: Any) -> Any:
        return _sealed(self.original, obj, *args, **named)


class _SealingClass:
    """Stands for a class of picklers, likewise. Nothing but ``dump`` is asked of what it makes."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __call__(self, buffer: Any, *args: Any) -> Any:
        return _Dumping(self.original, buffer, args)


class _Dumping:
    def __init__(self, original: Callable[..., Any], buffer: Any, args: tuple[Any, ...]) -> None:
        self.original, self.buffer, self.args = original, buffer, args

    def dump(self, obj: Any) -> None:
        """Pickle a message."""
        self.buffer.write(_sealed(self._dumps, obj))

    def _dumps(self, obj: Any) -> bytes:
        pickled = io.BytesIO()
        self.original(pickled, *self.args).dump(obj)
        return pickled.getvalue()


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
