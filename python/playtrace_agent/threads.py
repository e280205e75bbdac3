"""Follows traced work into threads that it starts."""

from __future__ import annotations

import _thread
import functools
import threading
from typing import TYPE_CHECKING, Any

from . import _native, names, units
from .serving import served
from .thread_pools import Task, submitting

if TYPE_CHECKING:
    from collections.abc import Callable

_UNIT = "_playtrace_unit"


def change() -> None:
    """Change ``threading`` and ``_thread``."""
    thread: Any = threading.Thread
    thread.start = _thread_start(thread.start)
    thread._bootstrap_inner = _thread_main(thread._bootstrap_inner)
    # `threading` has its own references to the originals.
    for name in ("start_new_thread", "start_new"):
        setattr(_thread, name, _start_new_thread(getattr(_thread, name)))


def _thread_start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        submitter = submitting.get()
        if not (submitter is not None or _native.traced()):
            return original(self)
        # A subclass may have its own idea of attributes.
        own = self.__dict__
        if own.get("_ident") is not None or not own.get("_initialized"):
            return original(self)  # refuses
        serving = served(self)
        if serving is not None:
            return _start_serving(original, self, serving[1], submitter)
        unit = units.begin_within("thread", what=names.attribute(self, "_name"))
        if unit is None:
            return original(self)
        own[_UNIT] = unit
        try:
            return original(self)
        except BaseException:
            if own.pop(_UNIT, None) is not None:
                units.end(unit)
            raise

    return start


def _start_serving(
    original: Callable[[threading.Thread], None],
    thread: Any,
    initializer: int | None,
    submitter: _native.Token | None,
) -> None:
    """Start a thread that belongs to nobody; its initializer belongs to what submits, or else to what is running."""
    task = None
    before = _native.held()
    try:
        # All within the block: a signal's handler may raise as soon as something has been done.
        if submitter is not None:
            _native.hold(submitter)
        args = thread._args
        if initializer is not None and len(args) > initializer + 1 and callable(args[initializer]):
            unit = units.begin_within("thread", what=f"{names.function(args[initializer])}, an initializer")
            if unit is not None:
                task = Task(args[initializer], unit)
                thread._args = (*args[:initializer], task, *args[initializer + 1 :])
        _native.hold(None)
        original(thread)
    except BaseException:
        if task is not None:
            task.end()
        raise
    finally:
        _native.hold(before)


def _thread_main(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    # Bound here: a daemon thread may end when the module's names are gone.
    enter, end, traced = _native.enter, units.end, _native.traced

    @functools.wraps(original)
    def _bootstrap_inner(self: threading.Thread) -> None:
        unit = self.__dict__.pop(_UNIT, None)
        if unit is None:
            if traced():
                # All of the process is one run's, and the coverage engine has to hear of this thread.
                enter(None)
            return original(self)
        enter(unit)
        try:
            return original(self)
        finally:
            enter(None)
            end(unit)

    return _bootstrap_inner


def _start_new_thread(original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def start_new_thread(*args: Any) -> int:
        if not _native.traced() or not args or not callable(args[0]):
            return original(*args)
        unit = units.begin_within("thread", what=names.function(args[0]))
        if unit is None:
            return original(*args)
        task = Task(args[0], unit)
        try:
            return original(task, *args[1:])
        except BaseException:
            task.end()
            raise

    return start_new_thread
