"""One command from its start to its end: time, processor time, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class CommandFailed(Exception):
    """A command that was to be measured ended badly."""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds by the clock and of processors, and the most memory in MB."""

    seconds: float
    processor: float
    memory: float


def run(command: Sequence[str | Path], cwd: Path) -> Cost:
    """Run a command, its output dropped.

    Raises:
        CommandFailed: It did not end with 0.
    """
    words = [str(word) for word in command]
    begun = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(cwd)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            os.execv(words[0], words)
        finally:
            os._exit(127)
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - begun
    if code := os.waitstatus_to_exitcode(status):
        raise CommandFailed(f"{' '.join(words)} ended with {code}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
