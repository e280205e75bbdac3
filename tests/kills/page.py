"""The page that killed processes and the test share: a file mapped by both, which outlives whoever is killed.

Each piece of work has a few cells of eight bytes of its own: the process that does it, the line that it has executed
last, and whether it came to its end. Nothing of it is measured, and the agent has no part in it.
"""

from __future__ import annotations

import importlib
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kills.source import MODULE

# In the environment of processes under test: where the file is.
PAGE = "KILLS_PAGE"
_CELLS = 4
_PID, _LINE, _ENDED = range(3)


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is."""

    # 0 when nobody has begun.
    pid: int
    # 0 when it has not executed a line yet.
    line: int
    ended: bool


class Page:
    """The mapped file."""

    def __init__(self, path: Path, *, works: int | None = None) -> None:
        """Map the file; with `works`, make it, with room for so many pieces of work."""
        if works is not None:
            path.write_bytes(bytes(works * _CELLS * 8))
        with path.open("r+b") as file:
            self.cells = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

    def where(self, work: int) -> tuple[int, int, int]:
        """Return a piece of work's cells: process, line, end."""
        cell = work * _CELLS
        return cell + _PID, cell + _LINE, cell + _ENDED

    def look(self, work: int) -> Progress:
        """Say how far a piece of work is."""
        pid, line, ended = (self.cells[cell] for cell in self.where(work))
        return Progress(pid, line, bool(ended))

    def do(self, work: int, names: Sequence[str]) -> None:
        """Do a piece of work: call these functions of the measured package."""
        functions = importlib.import_module(MODULE)
        pid, line, ended = self.where(work)
        self.cells[pid] = os.getpid()
        for name in names:
            getattr(functions, name)(self.cells, line)
        self.cells[ended] = 1


def mapped() -> Page:
    """Map the page that the environment names, and import the measured package outside traced work."""
    importlib.import_module(MODULE)
    return Page(Path(os.environ[PAGE]))
