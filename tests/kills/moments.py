"""When to kill: drawn from a seeded generator, so that a run can be had again as far as the machine allows."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.kills.page import Page
from tests.kills.source import Measured

# In the middle of the work; at its end, where shard, ledger and map are written; at any time; where the map grows.
KINDS = ("within", "within", "flush", "flush", "any", "growth")
# The map begins with room for two thousand lines and doubles when it is full.
_FULL = (2_046, 4_094, 8_190, 16_382)
# From the last line of a piece of work: its unit ends, that is a commit of the shard, a record in the ledger, and the
# map begins anew.
_AFTER_SECONDS = (0.0005, 0.004)
_ANY_SECONDS = 0.15
# A target that is never reached (its function ended between two looks) is given up when the work has ended.
_PATIENCE = 120.0
# Between two looks whether there is still something to wait for.
_LOOKS = 10_000


@dataclass(frozen=True)
class Moment:
    """When a process is killed."""

    # The piece of work that is watched.
    work: int
    # When it has executed so many lines; none: as soon as it begins. As many as there are: when it has ended.
    lines: int
    # So long afterwards.
    seconds: float

    def wait(self, page: Page, measured: Measured, names: tuple[str, ...], going_on: Callable[[], None]) -> int:
        """Wait for the moment; return the process that does the work.

        Raises:
            TimeoutError: It never begins.
        """
        steps = measured.steps(names)
        order = {0: 0} | {line: index + 1 for index, line in enumerate(steps)}
        # What is read in this loop is all that stands between the moment and the kill.
        cells, pid, line, ended = page.cells, *page.where(self.work)
        deadline = time.monotonic() + _PATIENCE
        with _often_switched():
            while True:
                for _ in range(_LOOKS):
                    if cells[pid] and (cells[ended] or order[cells[line]] >= self.lines):
                        until = time.perf_counter() + self.seconds
                        while time.perf_counter() < until:
                            pass
                        return cells[pid]
                going_on()
                if time.monotonic() > deadline:
                    now = page.look(self.work)
                    raise TimeoutError(f"work {self.work} did not come to line {self.lines} of {len(steps)}: {now}")


@contextmanager
def _often_switched() -> Iterator[None]:
    """Let the threads that send requests go on while this one looks."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def draw(rng: random.Random, kinds: Sequence[str], work: int, length: int) -> Moment:
    """Draw a moment, of one of these kinds, for a piece of work of so many lines."""
    kind = rng.choice(kinds)
    if kind == "growth":
        # Around the line for which there is no room; the map has a few records besides.
        full = [lines for lines in _FULL if lines < length]
        if full:
            return Moment(work, max(1, rng.choice(full) - rng.randrange(40)), rng.uniform(0, 5e-5))
        kind = "within"
    if kind == "within":
        return Moment(work, rng.randrange(1, length + 1), 0)
    if kind == "flush":
        return Moment(work, length, rng.uniform(0, rng.choice(_AFTER_SECONDS)))
    return Moment(work, 0, rng.uniform(0, _ANY_SECONDS))


def kill(pid: int) -> None:
    """Kill a process that a scenario has started."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
