"""The floor: what CPython itself takes to tell anybody of a line, whatever is then done about it.

A tool whose callbacks are native and do nothing listens to the same events as the agent. Nothing that listens to lines
can be quicker; what the agent takes more is what it does.
"""

from __future__ import annotations

import operator
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from types import CodeType, ModuleType
from typing import Any

_SCOUT, _READER = 4, 3


def listen(module: ModuleType) -> None:
    """Listen to the lines of every function of a module, and to the first run of everything else."""
    _take_tools()
    arm([function.__code__ for function in vars(module).values() if hasattr(function, "__code__")])


def arm(codes: Iterable[CodeType]) -> None:
    """Listen to the lines and entries of code objects, without a step in Python for each."""
    monitoring = sys.monitoring
    events = monitoring.events.LINE | monitoring.events.PY_START | monitoring.events.PY_RESUME
    deque(map(partial(monitoring.set_local_events, _READER), codes, repeat(events)), maxlen=0)


def _take_tools() -> None:
    monitoring = sys.monitoring
    if monitoring.get_tool(_READER) is not None:
        return
    # Native, of two arguments, and what it answers is no `DISABLE`.
    nothing: Callable[..., Any] = operator.is_
    for tool in (_SCOUT, _READER):
        monitoring.use_tool_id(tool, "floor")
        for event in (monitoring.events.LINE, monitoring.events.PY_START, monitoring.events.PY_RESUME):
            monitoring.register_callback(tool, event, nothing)
    monitoring.set_events(_SCOUT, monitoring.events.PY_START | monitoring.events.PY_RESUME)
