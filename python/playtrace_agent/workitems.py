"""Work that one process hands to another that lives on and works for others, too: the calls of process pools.

A call is promised where it is handed over, is a unit of the process that makes it, and is closed (its lines are on
disk) before its result goes back.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future


class Promise(NamedTuple):
    """What a process must know to do a piece of traced work."""

    child: str
    slug: str
    run: str | None
    what: str
    #: The process that promised it.
    pid: int
    environment: dict[str, str]
    #: The request or job that it is for, where they are told apart.
    scope: str | None

    def begin(self) -> units.Unit | None:
        """Open the promised unit in this process. A fault is said; as nothing keeps the promise, the verdict tells."""
        try:
            if not runtime.start("child", environ={**os.environ, **self.environment}):
                return None
            return units.begin("child", self.slug, self.run, child=self.child, what=self.what, scope=self.scope)
        except _native.SwitchedOffError:
            return None
        except Exception as error:  # noqa: BLE001 - the work comes first
            runtime.say(logging.WARNING, "not traced: %s: %s", self.what, error)
            return None

    def never_started(self, why: str) -> None:
        """Keep the promise at once: there is no work. Harmless if there was some after all."""

        def close() -> None:
            unit = units.begin(
                "child", self.slug, self.run, child=self.child, what=f"{self.what}: {why}", scope=self.scope
            )
            units.end(unit)

        runtime.guard("withdrawing work of another process", close)

    def done(self, future: Future[Any]) -> None:
        """Take the promise back if the executor gave the call up."""
        from concurrent.futures import BrokenExecutor

        if future.cancelled():
            self.never_started("cancelled")
        elif isinstance(future.exception(), BrokenExecutor):
            self.never_started("the pool broke")

    def settled(self) -> None:
        """The pool has the result: the worker kept the promise."""

    def dropped(self) -> None:
        """The pool was terminated. If a worker had begun the call, its unit stays open, and the verdict names it."""
        self.never_started("the pool was terminated")


def promise(what: str) -> Promise | None:
    """Promise work that the running code hands to another process; ``None`` outside traced work or if that fails."""
    what = printable(what)
    try:
        promised = _native.spawn(what, True)
        if promised is None:
            return None
        child, slug, run, scope = promised
        return Promise(child, slug, run, what, os.getpid(), runtime.current_settings().for_child(), scope)
    except Exception as error:  # noqa: BLE001 - the work comes first
        runtime.lose(f"{what} could not be followed into another process: {error}")
        return None


class Call:
    """A call that another process makes for traced work."""

    def __init__(
        self,
        promised: Promise,
        token: _native.Token | None,
        fn: Callable[..., Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self.promised = promised
        #: The submitting work's, in its process, until the call is on its way.
        self.token = token
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.unit: units.Unit | None = None

    def __call__(self) -> Any:
        """Make the call and write its lines."""
        unit, self.unit = self.unit or self.promised.begin(), None
        if unit is None:
            return self.fn(*self.args, **self.kwargs)
        before = _native.enter(unit.number)
        try:
            return self.fn(*self.args, **self.kwargs)
        finally:
            _native.enter(before)
            units.end(unit)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the call in one piece: the app's code that takes part in it (``__getstate__``) is traced work."""
        before, self.token = _native.enter(self.token), None
        unit = units.begin_within("thread", what=f"sending {self.promised.what}")
        try:
            payload = bytes(_pickler().dumps((self.fn, self.args, self.kwargs)))
        except BaseException:
            self.promised.never_started("it can't be pickled")
            raise
        finally:
            _native.enter(before)
            if unit is not None:
                units.end(unit)
        return receive, (tuple(self.promised), payload)


def receive(promised: tuple[Any, ...], payload: bytes) -> Call | None:
    """Unpickle a call in the process that is to make it."""
    promise_ = Promise(*promised)
    if promise_.pid == os.getpid():
        # A pool that is terminated takes its own calls off the queue, to make room.
        promise_.dropped()
        return None
    unit = promise_.begin()
    before = _native.enter(unit.number) if unit is not None else None
    try:
        fn, args, kwargs = _pickler().loads(payload)
    except BaseException:
        if unit is not None:
            _native.enter(before)
            units.end(unit)
        raise
    if unit is not None:
        _native.enter(before)
    call = Call(promise_, None, fn, args, kwargs)
    call.unit = unit
    return call


def _pickler() -> Any:
    """Return the pickler that ``multiprocessing`` uses now; contexts may set another."""
    from multiprocessing import context

    return vars(context)["reduction"].ForkingPickler


def _own_token() -> _native.Token | None:
    token = _native.enter(None)
    _native.enter(token)
    return token


def call(what: str, fn: Callable[..., Any], args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """Return the call as a traced piece of work without arguments; ``None`` where it can't be one."""
    promised = promise(what)
    return None if promised is None else Call(promised, _own_token(), fn, args, kwargs or {})


def printable(what: str) -> str:
    """Return what the ledger takes: not too long, and text, which a name need not be."""
    return what[:200].encode(errors="backslashreplace").decode()


def name(fn: object) -> str:
    """Return a function's name, for people."""
    if isinstance(fn, functools.partial):
        return name(fn.func)
    return str(getattr(fn, "__qualname__", None) or type(fn).__qualname__)[:200]
