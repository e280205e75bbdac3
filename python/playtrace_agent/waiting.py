"""The calls that wait for a pool of processes: new workers that it needs for them are started as part of that work."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import workitems

#: On a pool's cache of results, or on an executor, if it has an initializer: the calls that wait for their results.
_WAITING = "_playtrace_waiting"


def needs_workers(pool: Any, handed: workitems.Handed) -> None:
    """Keep in mind that a call waits for this pool (or its cache), as long as it does."""
    calls = vars(pool).setdefault(_WAITING, collections.deque())
    calls.append(handed)
    while calls and calls[0].within() is None:
        calls.popleft()


def for_who_waits(pool: Any, start: Callable[..., None], *args: Any) -> None:
    """Have a pool's own thread start workers as part of a traced call that waits for it, if there is one.

    Each call asks for new workers once: a pool whose initializer fails makes one worker after the other.
    """
    calls = vars(pool).get(_WAITING)
    within = None
    while calls and within is None:
        within = calls.popleft().within()
    before = _native.held()
    try:
        _native.enter(within)
        start(*args)
    finally:
        _native.enter(before)
