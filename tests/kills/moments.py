"""When to kill: drawn from a seeded generator, so that a run can be had again as far as the machine allows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.kills.page import Page
from tests.kills.source import Measured

# The map begins with room for two thousand lines and doubles when it is full.
_FULL = (2_046, 4_094, 8_190, 16_382)
# From the last line of a piece of work: its unit ends, that is a commit of the shard, a record in the ledger, and the
# map begins anew.
_AFTER_SECONDS = 0.004
_ANY_SECONDS = 0.15
# A target that is never reached (its function ended between two looks) is given up when the work has ended.
_PATIENCE = 60.0


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
        order = {line: index + 1 for index, line in enumerate(steps)}
        deadline = time.monotonic() + _PATIENCE
        looks = 0
        while True:
            now = page.look(self.work)
            if now.pid and (now.ended or (order[now.line] if now.line else 0) >= self.lines):
                break
            looks += 1
            if looks % 1_000 == 0:
                going_on()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"work {self.work} did not come to line {self.lines} of {len(steps)}: {now}")
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass
        return now.pid


def draw(rng: random.Random, work: int, length: int) -> Moment:
    """Draw a moment for a piece of work of so many lines."""
    kind = rng.choice(["within", "within", "flush", "flush", "any", "growth"])
    if kind == "growth":
        # Around the line for which there is no room; the map has a few records besides.
        full = [lines for lines in _FULL if lines < length]
        if full:
            return Moment(work, max(1, rng.choice(full) - rng.randrange(40)), rng.uniform(0, 5e-5))
        kind = "within"
    if kind == "within":
        return Moment(work, rng.randrange(1, length + 1), 0)
    if kind == "flush":
        return Moment(work, length, rng.uniform(0, _AFTER_SECONDS))
    return Moment(work, 0, rng.uniform(0, _ANY_SECONDS))


def kill(pid: int) -> None:
    """Kill a process that a scenario has started."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
