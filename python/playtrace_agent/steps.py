"""Awaits coroutines of which each piece is work of a unit, or of nobody's.

A coroutine runs piece by piece, in whatever context its task has: a server makes the next request's task, its timers
and its readers in the middle of a ``send``, and each takes a copy of that context along for good. What is left of a
coroutine that is never finished is run by the garbage collector, in anybody's context. So it is said for each piece.
"""

from __future__ import annotations

import functools
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from . import runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from . import _native, units


class Steps:
    """An awaitable that makes each step of a coroutine in a way of its own."""

    __slots__ = ("_coroutine",)
    _coroutine: Coroutine[Any, Any, Any]

    def step(self, work: Callable[..., Any], /, *args: Any) -> Any:
        """Make a step: a call."""
        raise NotImplementedError

    def __await__(self) -> Steps:
        return self

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        return self.step(self._coroutine.send, None)

    def send(self, value: Any) -> Any:
        """Go on with a value."""
        return self.step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception: a cancellation, mostly."""
        return self.step(self._coroutine.throw, *error)

    def close(self) -> None:
        """End the coroutine where it stands."""
        self.step(self._coroutine.close)

    def __getattr__(self, name: str) -> Any:
        """Be the coroutine for those who follow ``cr_await`` to see where a task is."""
        if name == "_coroutine":
            raise AttributeError(name)
        return getattr(self._coroutine, name)


class Within(Steps):
    """Calls and awaits something as work of a unit. Its steps are entered and left natively."""

    __slots__ = ("step",)
    step: Any

    def __init__(self, unit: units.Unit, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        # No frame of ours besides the iterator's own.
        self.step = functools.partial(runtime.native.call_within, unit)
        self._coroutine = _coroutine(self.step(work, *args))


class Outside:
    """What was there when it was made; what a server does for a unit is work of that."""

    __slots__ = ("before",)

    def __init__(self) -> None:
        self.before: _native.Held = runtime.native.held()

    def forget(self) -> None:
        """Let go of it: a traceback may live on, and its frames with it."""
        self.before = None

    def receiving(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """Return a ``receive`` that is not work of the unit that calls it."""

        async def receiving() -> Any:
            return await _Outdoors(self, receive)

        return receiving

    def sending(
        self, send: Callable[[Any], Awaitable[Any]], prepare: Callable[[Any], Any]
    ) -> Callable[[Any], Awaitable[Any]]:
        """Return a ``send`` that is not work of the unit that calls it; what prepares a message is."""

        async def sending(message: Any) -> Any:
            return await _Outdoors(self, send, prepare(message))

        return sending


class _Outdoors(Steps):
    """Calls and awaits something as work of what was there before."""

    __slots__ = ("_outside",)

    def __init__(self, outside: Outside, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self._outside = outside
        self._coroutine = _coroutine(self.step(work, *args))

    def step(self, work: Callable[..., Any], /, *args: Any) -> Any:
        native = runtime.native
        inside: _native.Held = native.held()
        try:
            # Within the block: a signal's handler may raise as soon as it is set.
            native.hold(self._outside.before)
            return work(*args)
        finally:
            native.hold(inside)
            # A traceback may live on, and this frame with it.
            inside = None


def _coroutine(made: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """Return a coroutine that awaits this, if it is none: a future, an extension module's object."""
    return made if isinstance(made, CoroutineType) else _awaiting(made)


async def _awaiting(made: Awaitable[Any]) -> Any:
    return await made
