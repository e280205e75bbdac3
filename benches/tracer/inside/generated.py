"""Python source that is made up for a measurement, and modules made of it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType


def flat_source(functions: int, lines: int) -> str:
    """A function `run` that calls each of so many functions once, in each of which so many lines run once.

    Not one long function: from the 128th line on, CPython looks a line's number up by walking the code object's table,
    for every tool that listens to lines, and that is what would be measured.
    """
    parts = []
    for number in range(functions):
        body = "".join(f"    value = value * 3 % {1009 + number * lines + line}\n" for line in range(lines - 1))
        parts.append(f"def part_{number}(value):\n{body}    return value\n")
    calls = "".join(f"    value = part_{number}(value)\n" for number in range(functions))
    return "\n".join(parts) + f"\ndef run():\n    value = 7\n{calls}    return value\n"


def functions_source(count: int, lines: int) -> str:
    """Functions `f0`, `f1`, … of so many lines each, and the list `ALL` of them."""
    parts = []
    for number in range(count):
        body = "".join(f"    value += {number + line}\n" for line in range(lines - 1))
        parts.append(f"def f{number}(value):\n{body}    return value % 1000003\n")
    return "\n".join(parts) + f"\nALL = [{', '.join(f'f{number}' for number in range(count))}]\n"


def load(path: Path) -> ModuleType:
    """Import a file the ordinary way, so that tools which watch imports see it. File names must be unique."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    # A file that was just written is not in the finders' caches.
    importlib.invalidate_caches()
    return importlib.import_module(path.stem)


def write_and_load(path: Path, source: str) -> ModuleType:
    """Make a module of `source`, in a file as any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes that need the same file write the same, and may do so at once.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(source, encoding="utf-8")
    draft.replace(path)
    return load(path)
