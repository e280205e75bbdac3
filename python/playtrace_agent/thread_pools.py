"""Follows traced work into ``ThreadPoolExecutor``, and into the callbacks of futures, which a pool's thread calls."""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import thread as futures_thread
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any

from . import _native, names, units
from .serving import serves_all

if TYPE_CHECKING:
    from collections.abc import Callable

#: Callbacks from there pass a result on to those who wait for it.
_PLUMBING = ("asyncio.", "concurrent.futures.", "playtrace_agent.")
#: What is submitted to a pool of threads, while the pool may make a thread for it. Greenlets of one thread may do so at
#: once.
submitting: ContextVar[_native.Token | None] = ContextVar("playtrace_agent.submitting", default=None)


def change(*, followed: bool) -> None:
    """Tell a pool's threads from those of traced work; its calls are work of whoever submits them, if followed."""
    serves_all(futures_thread._worker, initializer=2)
    if followed:
        ThreadPoolExecutor.submit = _submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        Future.add_done_callback = add_done_callback(Future.add_done_callback)  # type: ignore[method-assign]


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        unit = units.begin_within("thread", what=names.function(fn)) if _native.traced() else None
        if unit is None:
            return original(self, fn, *args, **kwargs)
        task = Task(fn, unit)
        # A thread that the pool makes now lives on after this work: it must not belong to it.
        before, outer = _native.held(), submitting.get()
        try:
            # Within the block: a signal's handler may raise as soon as something has been done.
            submitting.set(before if isinstance(before, _native.Token) else None)
            _native.hold(None)
            future = original(self, task, *args, **kwargs)
        except BaseException:
            task.end()
            raise
        finally:
            # Each is a call, after which a signal's handler may raise.
            try:
                _native.hold(before)
            finally:
                submitting.set(outer)
        future.add_done_callback(task.settled)
        return future

    return submit


class Task:
    """A call that a pool makes for traced work."""

    def __init__(self, fn: Callable[..., Any], unit: units.Unit) -> None:
        self.fn = fn
        self.unit: units.Unit | None = unit

    def __repr__(self) -> str:
        """Return the function's: what a thread can't raise is reported with it."""
        return repr(self.fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the call."""
        unit = self.unit
        if unit is None:
            return self.fn(*args, **kwargs)
        try:
            return _native.call_within(unit, self.fn, *args, **kwargs)
        finally:
            self.end()

    def settled(self, _future: Future[Any] | None = None) -> None:
        """End a call that was cancelled before it began."""
        self.end()

    def dropped(self) -> None:
        """End a call whose pool was terminated before it began."""
        self.end()

    def end(self) -> None:
        """End the unit, once."""
        unit, self.unit = self.unit, None
        if unit is not None:
            units.end(unit)


def add_done_callback(original: Callable[..., None]) -> Callable[..., None]:
    """Return a method of futures whose callbacks are work of whoever adds them."""

    @functools.wraps(original)
    def add(self: Future[Any], fn: Callable[[Future[Any]], object]) -> None:
        # It will be called by a thread of the pool, which is nobody's.
        if not _native.traced():
            return original(self, fn)
        if names.module(fn).startswith(_PLUMBING):
            ours = type(fn) is MethodType and type(fn.__self__) is Task
            return original(self, fn if ours else Carried(fn))
        unit = units.begin_within("thread", what=f"{names.function(fn)}, when a future is done")
        return original(self, fn if unit is None else Task(fn, unit))

    return add


class Carried:
    """A callback of the standard library's own, which wakes what waits for a future in an event loop.

    It goes on under the token of whoever waits, without a unit of its own: what it does belongs to the waiting.
    """

    __slots__ = ("fn", "token")

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.token = _native.held()

    def __repr__(self) -> str:
        """Return the function's, for whoever logs what is called."""
        return repr(self.fn)

    def __call__(self, *args: Any) -> Any:
        """Call it, once under the token: what is called may outlive the work."""
        before = _native.held()
        try:
            _native.hold(self.token)
            self.token = None
            return self.fn(*args)
        finally:
            _native.hold(before)
