"""What keeps a unit's token although nothing will ever run under it: asyncio's timers and tasks that are done with."""

from __future__ import annotations

import contextvars
import gc
import sys
import time
from typing import TYPE_CHECKING, Any

from . import runtime

if TYPE_CHECKING:
    from . import units

#: References to a token that nobody holds: the agent's own, the local name, the argument of `getrefcount`.
_NOBODYS = 3
#: A full collection may take this part of the time, at most.
_SHARE = 0.05

#: When the next full collection may be made, on the clock of `time.monotonic`.
_next_full = 0.0
#: Until then it is left to a timer. A loop may have ended with it.
_promised = 0.0
#: Seconds. So late a timer will not come any more.
_LATE = 1.0


def let_go(unit: units.Unit) -> None:
    """Free a unit's token, before the unit ends, from what is over. That changes nothing but the moment of the end."""
    native = runtime.native
    before = native.held()
    try:
        native.hold(unit)
        token = native.held()
    finally:
        native.hold(before)
    if sys.getrefcount(token) <= _NOBODYS:
        return
    _forget_cancelled_timers()
    # Finalizers are the app's code: with `gc.disable()` it decides itself when they run.
    if sys.getrefcount(token) <= _NOBODYS or not gc.isenabled():
        return
    gc.collect(1)
    if sys.getrefcount(token) > _NOBODYS:
        _collect_all()


def _collect_all() -> None:
    """Collect the oldest objects, too, now or a little later.

    A task that was cancelled is part of a cycle. While its request goes on, the ends of others make it old, and the
    next collection of such objects may be a long time off.
    """
    global _promised  # noqa: PLW0603 - the process has one garbage collector
    now = time.monotonic()
    if now >= _next_full:
        _collect_now()
    elif now >= _promised:
        loop = _running_loop()
        if loop is not None:
            _promised = _next_full + _LATE
            # In a context of its own: a copy of this one would hold what it knows.
            loop.call_later(_next_full - now, _collect_now, context=contextvars.Context())


def _collect_now() -> None:
    global _next_full, _promised
    began = time.monotonic()
    gc.collect()
    ended = time.monotonic()
    _next_full, _promised = ended + (ended - began) / _SHARE, 0.0


def _running_loop() -> Any:
    """Return asyncio's (or uvloop's) running loop, if that has been imported and there is one."""
    events: Any = sys.modules.get("asyncio.events")
    return events._get_running_loop() if events is not None else None


def _forget_cancelled_timers() -> None:
    """Have the running loop's cancelled timers let go of their contexts, which nothing will ever run in.

    ``asyncio.timeout(60)`` leaves one behind for a minute. Loops of other makes have no such list (uvloop, trio), and
    let go by themselves.
    """
    for handle in getattr(_running_loop(), "_scheduled", None) or ():
        if getattr(handle, "_cancelled", False) and hasattr(handle, "_context"):
            handle._context = None


def let_all_go() -> None:
    """Collect everything: an app has ended."""
    if gc.isenabled():
        gc.collect()
