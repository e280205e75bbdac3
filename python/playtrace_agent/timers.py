"""Timers of asyncio's that were cancelled: each keeps the context that it was made in until its time comes."""

from __future__ import annotations

import sys
from typing import Any


def forget_cancelled() -> None:
    """Have the running loop's cancelled timers let go of their contexts, which nothing will ever run in.

    ``asyncio.timeout(60)`` leaves one behind for a minute, and with it the token of its work: the unit would seem to go
    on. Loops of other makes have no such list (uvloop, trio), and let go by themselves. Nothing depends on this but
    the moment of a unit's end.
    """
    events: Any = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    for handle in getattr(loop, "_scheduled", None) or ():
        if getattr(handle, "_cancelled", False) and hasattr(handle, "_context"):
            handle._context = None
