"""The floor of an exact recorder (`least.c`): its callbacks ask whose work runs and set one bit, and that is all.

It differs from `floor.py` in that what it records is right: whoever attributes lines to requests does at least this.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

#: The ways: every line is reported each time, or silenced at its first and armed again for the next request.
WAYS = {"least": False, "least-silent": True}

_SCOUT, _READER = 4, 3


def load() -> Any:
    """The module that the driver compiled for this Python.

    Raises:
        ImportError: It could not.
    """
    built = os.environ.get("BENCH_LEAST")
    if not built:
        raise ImportError("the least recorder was not compiled: it needs a C compiler and Python's headers")
    loader = importlib.machinery.ExtensionFileLoader("least", built)
    spec = importlib.util.spec_from_file_location("least", built, loader=loader)
    if spec is None:
        raise ImportError(f"{built} is no module")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def listen(way: str, folders: list[Path], ledger: Path) -> Any:
    """Record the lines of all code below the folders from its first run on; what wraps apps."""
    module = load()
    monitoring = sys.monitoring
    events = monitoring.events
    ledger.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(ledger, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    entries = events.PY_START | events.PY_RESUME
    below = tuple(f"{folder}{os.sep}" for folder in folders)
    line, entry, first = module.listen(_READER, entries | events.LINE, monitoring.DISABLE, below, WAYS[way], descriptor)
    monitoring.use_tool_id(_SCOUT, "least scout")
    monitoring.use_tool_id(_READER, "least reader")
    for event in (events.PY_START, events.PY_RESUME):
        monitoring.register_callback(_SCOUT, event, first)
        monitoring.register_callback(_READER, event, entry)
    monitoring.register_callback(_READER, events.LINE, line)
    monitoring.set_events(_SCOUT, entries)
    return module
