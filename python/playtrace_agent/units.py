"""Units of traced work: opened before the work, closed when its lines are on disk."""

from __future__ import annotations

import contextlib
import functools
import logging
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, NewType

from . import names, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from . import _native


#: The number of a unit that is open in this process.
Unit = NewType("Unit", int)


def begin(
    kind: str,
    slug: str,
    run: str | None,
    *,
    step: int | None = None,
    job: str | None = None,
    child: str | None = None,
    what: str = "",
    scope: str | None = None,
) -> Unit:
    """Open a unit of work of a run; ``scope`` is the one that a child process was given.

    Raises:
        ValueError: The slug or the run can't be one.
        native.TraceError: The work can't be traced.
    """
    number, first = runtime.native.open_unit(slug, run, kind, step=step, job=job, child=child, what=what, scope=scope)
    if first:
        say_began(slug, run)
    return Unit(number)


def say_began(slug: str, run: str | None) -> None:
    """Log that the first unit of a run was opened here, and tell its verdict what is left out in this process."""
    runtime.tell_disabled(slug, run)
    if not runtime.log.isEnabledFor(logging.INFO):
        return
    settings = runtime.current_settings()
    runtime.say(
        logging.INFO,
        "tracing started: profile %s, run %s, data file %s, context %s:%s",
        slug,
        run or "(none)",
        settings.directory / f"{slug}.coverage",
        settings.prefix,
        slug,
    )


#: Faults of blocks, and limits that jobs met, that were said, by slug and run: a block may be in a loop, a queue long.
_said: set[tuple[str, str | None, str]] = set()
#: A process may live for months.
_REMEMBERED = 1000


def say_failed(slug: str, run: str | None, fault: _native.TraceError) -> None:
    """Say, once, that a block can't be traced, and tell the verdict if that can be written. The block runs."""
    if isinstance(fault, runtime.native.SwitchedOffError) or not is_unsaid(slug, run, fault):
        return
    if not isinstance(fault, runtime.native.FullError):
        with contextlib.suppress(runtime.native.TraceError):
            runtime.native.lost(slug, run, f"a block is not traced: {fault}")
    runtime.say(logging.WARNING, "not traced: a block of profile %s: %s", slug, fault)


def is_unsaid(slug: str, run: str | None, fault: Exception) -> bool:
    """Say whether a run's fault is to be said; from now on it was."""
    failed = (slug, run, str(fault))
    if failed in _said:
        return False
    if len(_said) >= _REMEMBERED:
        # Said twice is better than lost without a word.
        _said.clear()
    _said.add(failed)
    return True


def begin_within(kind: str, *, what: str = "") -> Unit | None:
    """Open a unit that belongs where the running code belongs; ``None`` outside traced work, or if it can't be."""
    try:
        opened = runtime.native.open_within(kind, what=names.printable(what))
    except runtime.native.SwitchedOffError:
        return None
    except (runtime.native.TraceError, TypeError, ValueError) as error:
        # Not every exception: what a signal's handler raises here is for the app.
        runtime.say(logging.WARNING, "not traced: %s %s: %s", kind, what, error)
        return None
    return Unit(opened) if opened is not None else None


def end(unit: Unit) -> None:
    """Close a unit. A fault is said; it never reaches the app."""
    runtime.native.end_unit(unit, tell)


def tell(written: tuple[str, int, int] | None, fault: Exception | None) -> None:
    """Say what the end of a unit wrote, or why it could not."""
    if fault is not None:
        runtime.say_fault("closing a unit of work", fault)
    elif written is not None:
        runtime.guard("closing a unit of work", lambda: say_written((written,)))


def say_written(written: Iterable[tuple[str, int, int]]) -> None:
    """Log what a flush wrote."""
    if not runtime.log.isEnabledFor(logging.INFO):
        return
    for shard, files, lines in written:
        runtime.say(logging.INFO, "shard written: %s (%d new lines in %d files)", shard, lines, files)


def block(slug: str, run: str | None) -> AbstractContextManager[None]:
    """Return a block of work of a profile."""
    if not runtime.start("other"):
        return _Untraced(slug, run)
    from .block import Block

    return Block(slug, run)


class Decorator(ContextDecorator):
    """A block as a decorator.

    What a coroutine function does, it does when it is awaited; a generator function, when its pieces are asked for.
    """

    def __call__(self, func: Any) -> Any:
        """Have each call of a function be such a block.

        Raises:
            TypeError: An async generator function's pieces are asked for by others, in contexts of their own.
        """
        # Nothing else here needs it, and every child process would pay for it.
        import inspect

        if inspect.isasyncgenfunction(func):
            raise TypeError(
                f"@trace() can't trace {func.__qualname__}(), an async generator function: trace who iterates over it"
            )
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self._recreate_cm():
                    return await func(*args, **kwargs)

            return awaited
        if inspect.isgeneratorfunction(func):

            @functools.wraps(func)
            def generator(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Pieces(self._recreate_cm, func(*args, **kwargs)))

            return generator
        return super().__call__(func)

    def _recreate_cm(self) -> Any:
        raise NotImplementedError


class _Pieces:
    """A generator, each piece of which is made within a block: what asks for them in between is not part of it."""

    def __init__(self, block: Callable[[], Any], generator: Generator[Any, Any, Any]) -> None:
        self._block, self._generator = block, generator

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> Any:
        with self._block():
            return next(self._generator)

    def send(self, value: Any) -> Any:
        with self._block():
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with self._block():
            return self._generator.throw(*error)

    def close(self) -> None:
        with self._block():
            self._generator.close()


class _Untraced(Decorator):
    """Stands for a block where the agent is off."""

    def __init__(self, slug: str, run: str | None) -> None:
        self.of = slug, run

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_raised: object) -> None:
        pass

    def _recreate_cm(self) -> Any:
        # A function that was decorated may be called when the agent is on.
        return block(*self.of)


def current_run() -> tuple[str, str | None] | None:
    """Return slug and run that the running code is traced for."""
    if not runtime.started():
        return None
    return runtime.native.current_run()


def flush() -> None:
    """Write what is new in every run."""
    if runtime.started():
        runtime.guard("writing", lambda: say_written(runtime.native.flush()))
