"""Times of whole processes, and the rows that they become."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Twice the same must not differ by more, or a row tells nothing.
CLEAR = 0.15


@dataclass
class Samples:
    """Wall-clock and processor seconds of a command."""

    command: list[str]
    cwd: Path | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run it once more."""
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        nowhere = subprocess.DEVNULL
        subprocess.run(self.command, stdout=nowhere, stderr=nowhere, check=True, cwd=self.cwd)
        self.wall.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def upper(self) -> float:
        """The upper end of the 95 % interval of the median."""
        return upper_of(self.wall)


def upper_of(values: Sequence[float]) -> float:
    """The upper end of the 95 % interval of the median, by its order statistics."""
    ordered, count = sorted(values), len(values)
    return ordered[min(count - 1, int(count / 2 + 0.98 * count**0.5) + 1)]


def rounds_of(all_of_them: Sequence[Samples], rounds: int) -> None:
    """Run all of them, one after the other in each round, every other round backwards."""
    for turn in range(rounds):
        for samples in all_of_them if turn % 2 == 0 else reversed(all_of_them):
            samples.run()


def median(samples: Samples) -> float:
    """The median of the wall-clock seconds."""
    return round(statistics.median(samples.wall), 4)


def row(
    ident: str, samples: Samples, again: Samples | None, target: float | None, peers: dict[str, float], how: str
) -> dict[str, Any]:
    """A row of a bench's results; `again` is the same as `samples`, run beside it."""
    control = None if again is None else round(statistics.median(again.wall) / statistics.median(samples.wall), 3)
    clear = control is None or abs(control - 1) <= CLEAR
    met: bool | str | None = None
    if target is not None:
        met = samples.upper() <= target if clear else "not measured"
    return {
        "id": ident,
        "value": median(samples),
        "unit": "s",
        "target": target,
        "better": "lower",
        "met": met,
        "peers": peers,
        "how": how,
        "upper": round(samples.upper(), 4),
        "cpu": round(statistics.median(samples.cpu), 4),
        "control": control,
    }


def ratio_row(
    ident: str, samples: Samples, again: Samples, floor: Samples, target: float, peers: dict[str, float], how: str
) -> dict[str, Any]:
    """How many times as long as `floor`, run beside it in each round; `again` is the same as `samples`."""
    ratios = [ours / least for ours, least in zip(samples.wall, floor.wall, strict=True)]
    control = statistics.median(twice / once for twice, once in zip(again.wall, samples.wall, strict=True))
    cpu = statistics.median(ours / least for ours, least in zip(samples.cpu, floor.cpu, strict=True))
    return {
        "id": ident,
        "value": round(statistics.median(ratios), 3),
        "unit": "times",
        "target": target,
        "better": "lower",
        "met": upper_of(ratios) <= target if abs(control - 1) <= CLEAR else "not measured",
        "peers": peers,
        "how": how,
        "upper": round(upper_of(ratios), 3),
        "cpu": round(cpu, 3),
        "control": round(control, 3),
    }


def share_row(
    ident: str, samples: Samples, again: Samples, peer: Samples, target: float, peers: dict[str, float], how: str
) -> dict[str, Any]:
    """How many times as long as a peer, which runs less often: how fast the machine is matters less so."""
    control = statistics.median(again.wall) / statistics.median(samples.wall)
    upper, cpu = samples.upper() / min(peer.wall), statistics.median(samples.cpu) / statistics.median(peer.cpu)
    return {
        "id": ident,
        "value": round(statistics.median(samples.wall) / statistics.median(peer.wall), 5),
        "unit": "times",
        "target": round(target, 5),
        "better": "lower",
        "met": upper <= target if abs(control - 1) <= CLEAR else "not measured",
        "peers": peers,
        "how": how,
        "upper": round(upper, 5),
        "cpu": round(cpu, 5),
        "control": round(control, 3),
    }
