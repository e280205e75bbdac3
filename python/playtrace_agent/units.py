"""Units of traced work: opened before the work, closed when its lines are on disk."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from . import runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Unit(NamedTuple):
    """A unit that is open in this process."""

    number: int


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
        _native.TraceError: The work can't be traced.
    """
    from . import _native

    number, first = _native.open_unit(slug, run, kind, step=step, job=job, child=child, what=what, scope=scope)
    if first:
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
    return Unit(number)


def begin_within(kind: str, *, what: str = "") -> Unit | None:
    """Open a unit that belongs where the running code belongs; ``None`` outside traced work, or if it can't be."""
    from . import _native

    try:
        opened = _native.open_within(kind, what=what)
    except _native.SwitchedOffError:
        return None
    except _native.TraceError as error:
        runtime.say(logging.WARNING, "not traced: %s %s: %s", kind, what, error)
        return None
    return Unit(opened) if opened is not None else None


def end(unit: Unit) -> None:
    """Close a unit. A fault is said; it never reaches the app."""
    from . import _native

    def close() -> None:
        written = _native.close_unit(unit.number)
        if written is not None:
            say_written([written])

    runtime.guard("closing a unit of work", close)


def say_written(written: Iterable[tuple[str, int, int]]) -> None:
    """Log what a flush wrote."""
    for shard, files, lines in written:
        runtime.say(logging.INFO, "shard written: %s (%d new lines in %d files)", shard, lines, files)


@contextmanager
def block(slug: str, run: str | None) -> Iterator[None]:
    """Trace a block as work of a profile."""
    if not runtime.start("other"):
        yield
        return
    from . import _native

    unit = begin("block", slug, run, what="trace()")
    before = _native.enter_here(unit.number)
    try:
        yield
    finally:
        _native.enter(before)
        end(unit)


def current_run() -> tuple[str, str | None] | None:
    """Return slug and run that the running code is traced for."""
    if not runtime.started():
        return None
    from . import _native

    return _native.current_run()


def flush() -> None:
    """Write what is new in every run."""
    if runtime.started():
        from . import _native

        runtime.guard("writing", lambda: say_written(_native.flush()))
