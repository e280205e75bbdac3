"""The rows of `combine`: all shards of a set into one file, by `playtrace combine` and by each coverage.py."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..compiler import compiled
from ..tracer.estimate import Estimate, estimate, judge
from ..tracer.results import Row
from .inputs import Shards, copy, prepare
from .measure import Cost, run
from .peers import Peer

#: What coverage.py 7.11.3 took where these seconds were set, where that is known: a slower machine is so for both.
THEN = {"combine-contexts": 7.8, "combine-many-rows": 16.5, "combine-small": 13.5}
#: The issue's table, in its order: row, shards, seconds, and megabytes where it names them.
ROWS: dict[str, tuple[Shards, float, float | None]] = {
    "combine-contexts": (Shards("contexts", 1_000, 300, 80, 1, 1_000), 0.5, 60.0),
    "combine-20-contexts": (Shards("20-contexts", 1_000, 300, 80, 1, 20), 0.25, None),
    "combine-many-rows": (Shards("many-rows", 200, 300, 80, 20, 4_000), 1.8, None),
    "combine-small": (Shards("small", 5_000, 8, 80, 1, 5_000), 0.6, None),
}


#: The floor: the same files read, as much written as a merge writes, the files removed; nothing computed.
DISK = "disk"
_DISK = Path(__file__).with_name("disk.c")
#: What is measured in each round.
OFTEN = ("ours", "twin", DISK)


class NotEqual(Exception):
    """The program and coverage.py came to different content."""


@dataclass
class _Samples:
    cold: list[Cost] = field(default_factory=list)
    warm: list[Cost] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """What is measured, where, how often."""

    program: Path
    found: Sequence[Peer]
    home: Path
    rounds: int
    say: Callable[[str], None]


def rows(ident: str, setting: Setting, how: str) -> list[Row]:
    """One row of the table and what belongs to it.

    Raises:
        NotEqual: Outputs differ; nothing was timed.
        CommandFailed: A command could not be measured.
    """
    wanted, seconds, memory = ROWS[ident]
    shards = prepare(wanted, setting.home / "shards", setting.found[0].python, setting.say)
    work = setting.home / "work"
    ours: list[Path | str] = [setting.program, "combine", "-q", "--data-file", ".coverage"]
    commands: dict[str, list[Path | str]] = {"ours": ours, "twin": ours}
    for peer in setting.found:
        commands[peer.name] = [peer.python, "-m", "coverage", "combine", "-q", "--data-file", ".coverage"]
    size = _compare(commands, shards, work, setting)
    if disk := compiled(_DISK, setting.home / "disk", ["-O2", "-pthread"], setting.say):
        commands[DISK] = [disk, ".coverage.", ".coverage", str(size)]

    samples = {name: _Samples() for name in commands}
    for turn in range(setting.rounds):
        setting.say(f"{ident}: round {turn + 1} of {setting.rounds}")
        names = list(commands) if turn % 2 == 0 else list(reversed(commands))
        for name in names:
            if name not in OFTEN and turn >= max(2, setting.rounds // 4):
                # It takes many times as long, and its spread is small beside that.
                continue
            copy(shards, work)
            samples[name].cold.append(run(commands[name], work))
            if name != "twin":
                copy(shards, work)
                for path in work.iterdir():
                    path.read_bytes()
                samples[name].warm.append(run(commands[name], work))
    shutil.rmtree(work)

    made = [_row(ident, samples, seconds, "s", lambda cost: cost.seconds, how)]
    if ident in THEN:
        made.append(_share(ident, samples, setting.found[0].name, seconds / THEN[ident], how))
    if memory is not None:
        made.append(_row(f"{ident}.memory", samples, memory, "MB", lambda cost: cost.memory, how))
    made.append(_row(f"{ident}.processor", samples, None, "s of processors", lambda cost: cost.processor, how))
    warm = {name: _Samples(cold=sample.warm) for name, sample in samples.items() if name != "twin"}
    made.append(_row(f"{ident}.warm", warm, None, "s", lambda cost: cost.seconds, f"{how}; files in the caches"))
    return made


def _row(
    ident: str, samples: dict[str, _Samples], target: float | None, unit: str, of: Callable[[Cost], float], how: str
) -> Row:
    values = {name: [of(cost) for cost in sample.cold] for name, sample in samples.items()}
    measured = estimate([values["ours"]])
    floor = estimate([values[DISK]]).value if DISK in values and unit != "MB" else 0.0
    return _judged(ident, values, measured, target, unit, how).above(floor)


def _judged(
    ident: str, values: dict[str, list[float]], measured: Estimate, target: float | None, unit: str, how: str
) -> Row:
    peers = {name: estimate([found]).value for name, found in values.items() if name not in OFTEN and found}
    if "twin" not in values:
        return _besides(ident, measured, unit, how, peers)
    control = estimate([[a - b for a, b in zip(values["twin"], values["ours"], strict=True)]])
    if target is None:
        return _besides(ident, measured, unit, how, peers, control)
    verdict = judge(measured, control, target, 0.0)
    span, stray = (measured.low, measured.high), (control.low, control.high)
    return Row(ident, measured.value, unit, target, verdict.met, how, peers, span, stray, verdict.note)


def _share(ident: str, samples: dict[str, _Samples], peer: str, target: float, how: str) -> Row:
    """How many times as long as coverage.py it takes."""
    ours, twin, theirs = ([cost.seconds for cost in samples[name].cold] for name in ("ours", "twin", peer))
    least = estimate([theirs]).value
    measured = estimate([[seconds / least for seconds in ours]])
    control = estimate([[(a - b) / least for a, b in zip(twin, ours, strict=True)]])
    verdict = judge(measured, control, target, 0.0)
    span, stray = (measured.low, measured.high), (control.low, control.high)
    return Row(
        f"{ident}.share", measured.value, f"times {peer}'s", target, verdict.met, how, {}, span, stray, verdict.note
    )


def _besides(
    ident: str, measured: Estimate, unit: str, how: str, peers: dict[str, float], control: Estimate | None = None
) -> Row:
    """A row without a target of its own: met where it is less than every peer's."""
    least = min(peers.values())
    stray = None if control is None else (control.low, control.high)
    return Row(
        ident, measured.value, unit, least, measured.high <= least, how, peers, (measured.low, measured.high), stray
    )


def _compare(commands: dict[str, list[Path | str]], shards: Path, work: Path, setting: Setting) -> int:
    """Each command once, and that all come to the same content; returns how many bytes ours has."""
    digests = {}
    sizes = {}
    script = Path(__file__).with_name("content.py")
    for name, command in commands.items():
        if name == "twin":
            continue
        copy(shards, work)
        run(command, work)
        left = [path.name for path in work.iterdir()]
        if left != [".coverage"]:
            raise NotEqual(f"{name} left {len(left)} files")
        sizes[name] = (work / ".coverage").stat().st_size
        asked = [setting.found[0].python, script, work / ".coverage"]
        digests[name] = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    if len(set(digests.values())) > 1:
        raise NotEqual(f"{shards.name}: {digests}")
    setting.say(f"{shards.name}: equal content")
    return sizes["ours"]
