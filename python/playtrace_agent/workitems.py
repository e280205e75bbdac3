"""Work that one process hands to another that lives on and works for others, too: the calls of process pools.

A call is promised where it is handed over, is a unit of the process that makes it, and is closed (its lines are on
disk) before its result goes back. Where it was handed over, a unit lasts until the result is there.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, answers, names, runtime, units

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
            runtime.let_through(error)
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


def promise(what: str) -> Promise | None:
    """Promise work that the running code hands to another process; ``None`` outside traced work or if that fails."""
    what = names.printable(what)
    try:
        promised = _native.spawn(what, True)
        if promised is None:
            return None
        child, slug, run, scope = promised
        return Promise(child, slug, run, what, os.getpid(), runtime.current_settings().for_child(), scope)
    except Exception as error:  # noqa: BLE001 - the work comes first
        runtime.let_through(error)
        runtime.lose(f"{what} could not be followed into another process: {error}")
        return None


class Medium(NamedTuple):
    """How a pool pickles its calls and results, where that is not as ``multiprocessing`` does it."""

    #: The package that it is from.
    package: str
    dumps: Callable[[Any], Any]
    #: Whether it pickles results so that we can tell when that is over.
    answers: bool = True


class Handed:
    """A call, as the process sees it that handed it over and waits for the result. It does not hold the arguments."""

    def __init__(self, promised: Promise, token: _native.Token | None) -> None:
        self.promised = promised
        #: The submitting work's, until the call is on its way.
        self.token = token
        #: Whether nobody waits any more.
        self.over = False

    def wait(self, unit: units.Unit) -> None:
        """Let a unit last until the result is here."""
        answers.wait(self.promised.child, unit)
        # Only now: whoever ends the call in the meantime looks for the unit after this is set.
        if self.over:
            answers.forget(self.promised.child)

    def within(self) -> int | _native.Token | None:
        """Return, for `enter`, what waits for the result; ``None`` if nothing does any more."""
        unit = answers.awaiting(self.promised.child)
        return unit if unit is not None else self.token

    def done(self, future: Future[Any]) -> None:
        """Take the promise back if the executor gave the call up."""
        from concurrent.futures import BrokenExecutor

        if future.cancelled():
            self.dropped("cancelled")
        elif isinstance(future.exception(), BrokenExecutor):
            self.dropped("the pool broke")
        elif type(future.exception()).__name__ == "ShutdownExecutorError":
            # loky's, of an executor that is to end at once.
            self.dropped("the pool was shut down")
        self.settled()

    def settled(self) -> None:
        """The pool has the result: the worker kept the promise."""
        self.over, self.token = True, None
        answers.forget(self.promised.child)

    def dropped(self, why: str = "the pool was terminated") -> None:
        """Nobody waits any more. If a worker had begun the call, its unit stays open, and the verdict names it."""
        self.promised.never_started(why)
        self.settled()


class Call:
    """A call that another process makes for traced work."""

    def __init__(
        self,
        promised: Promise,
        handed: Handed | None,
        fn: Callable[..., Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        *,
        answered: bool,
        medium: Medium | None = None,
        package: str = "",
    ) -> None:
        self.promised = promised
        #: In the submitter's process only.
        self.handed, self.medium = handed, medium
        #: Whose messages answer it.
        self.package = package if medium is None else medium.package
        self.fn, self.args, self.kwargs = fn, args, kwargs
        #: Whether its result is sent back.
        self.answered = answered
        self.unit: units.Unit | None = None

    def __call__(self) -> Any:
        """Make the call and write its lines."""
        unit, self.unit = self.unit or self.promised.begin(), None
        if unit is None:
            return self.fn(*self.args, **self.kwargs)
        before = _native.held()
        sent = False
        try:
            # Within the block: a signal's handler may raise as soon as this has been done.
            _native.enter(unit)
            result = self.fn(*self.args, **self.kwargs)
            sent = self.answered
            return result
        except Exception:
            # Anything else ends the worker of a `Pool`.
            sent = self.answered
            raise
        finally:
            if sent:
                answers.leave(unit, before, self.promised.child, self.package)
            else:
                _native.enter(before)
                units.end(unit)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the call in one piece: the app's code that takes part in it (``__getstate__``) is traced work."""
        handed, what = self.handed, self.promised.what
        before = _native.held()
        sent, unit = False, None
        try:
            _native.enter(handed.token if handed is not None else None)
            unit = units.begin_within("thread", what=f"sending {what}")
            dumps = pickler().dumps if self.medium is None else self.medium.dumps
            payload = bytes(dumps((self.fn, self.args, self.kwargs)))
            sent = True
        except BaseException:
            self.promised.never_started("it can't be pickled")
            raise
        finally:
            _native.enter(before)
            if unit is not None and handed is not None and sent and self.answered:
                handed.wait(unit)
            elif unit is not None:
                units.end(unit)
            if handed is not None:
                handed.token = None
        return receive, (self.answered, tuple(self.promised), payload, self.package)


def receive(answered: bool, promised: tuple[Any, ...], payload: bytes, package: str) -> Call | None:
    """Unpickle a call in the process that is to make it."""
    promise_ = Promise(*promised)
    if promise_.pid == os.getpid():
        # A pool that is terminated takes its own calls off the queue, to make room.
        Handed(promise_, None).dropped()
        return None
    # Of a call whose result was never sent.
    answers.leave_last()
    unit = promise_.begin()
    loads = pickler().loads
    try:
        fn, args, kwargs = loads(payload) if unit is None else _native.call_within(unit, loads, payload)
    except BaseException:
        if unit is not None:
            units.end(unit)
        raise
    call = Call(promise_, None, fn, args, kwargs, answered=answered, package=package)
    call.unit = unit
    return call


def pickler() -> Any:
    """Return the pickler that ``multiprocessing`` uses now; contexts may set another."""
    from multiprocessing import context

    return vars(context)["reduction"].ForkingPickler


def own_token() -> _native.Token | None:
    """Return what the running code belongs to, the process's own run not counted."""
    held = _native.held()
    return held if isinstance(held, _native.Token) else None


def call(
    what: str,
    fn: Callable[..., Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any] | None = None,
    medium: Medium | None = None,
) -> tuple[Call, Handed] | None:
    """Return the call as a traced piece of work without arguments; ``None`` where it can't be one."""
    return _promised(what, fn, args, kwargs or {}, medium, answered=medium is None or medium.answers)


def initializer(fn: Callable[..., Any], args: Iterable[Any], medium: Medium | None = None) -> Call | None:
    """Return the initializer of a worker, whose result nobody asks for, as such a call."""
    promised = _promised(f"{names.function(fn)}, an initializer", fn, args, {}, medium, answered=False)
    return None if promised is None else promised[0]


def _promised(
    what: str,
    fn: Callable[..., Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    medium: Medium | None,
    *,
    answered: bool,
) -> tuple[Call, Handed] | None:
    promised = promise(what)
    if promised is None:
        return None
    handed = Handed(promised, own_token())
    return Call(promised, handed, fn, args, kwargs, answered=answered, medium=medium), handed
