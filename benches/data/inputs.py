"""The shards that are merged: written once by coverage.py, kept, and copied for each measurement."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class Shards:
    """A set of shards: how many, of how many files with how many lines each, and the contexts in each and in all."""

    name: str
    shards: int
    files: int
    lines: int
    per_shard: int
    contexts: int

    def at(self, home: Path) -> Path:
        """Where they are kept."""
        return home / f"{self.name}-{self.shards}-{self.files}-{self.lines}-{self.per_shard}-{self.contexts}"


def prepare(wanted: Shards, home: Path, python: Path, say: Callable[[str], None]) -> Path:
    """Have coverage.py write what is not there yet; returns the directory.

    Raises:
        subprocess.CalledProcessError: It could not.
    """
    place = wanted.at(home)
    if place.is_dir():
        return place
    say(f"writing {wanted.shards} shards: {wanted.name}")
    making = place.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    processes = os.cpu_count() or 1
    bounds = [wanted.shards * part // processes for part in range(processes + 1)]
    script = Path(__file__).with_name("make_shards.py")
    numbers = [wanted.files, wanted.lines, wanted.per_shard, wanted.contexts]
    running = [
        subprocess.Popen([python, script, making, *map(str, [first, end, *numbers])]) for first, end in pairwise(bounds)
    ]
    for process in running:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)
    making.rename(place)
    return place


def copy(shards: Path, to: Path) -> None:
    """A fresh copy, whole on disk and out of the caches."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(shards, to)
    forget(to)


def forget(place: Path) -> None:
    """Have the system drop from its caches what lies in a directory."""
    os.sync()
    for path in place.iterdir():
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
