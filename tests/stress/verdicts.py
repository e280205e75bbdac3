"""What the program says of each run, with what the player would have said of it: nothing may be missing."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.stress import check
from tests.stress.plan import Request, Work
from tests.stress.reference import Expected

# Profile and run.
Run = tuple[str, str]

_LEDGERS = ".playtrace"
# A process of this machine that is no more: the player has ended when a run is judged.
_PLAYER = {"pid": 2**22 + 1, "start": 1}
_SECONDS = 120.0


@dataclass
class Verdicts:
    """How many runs have which verdict."""

    counts: Counter[str] = field(default_factory=Counter)
    # Why it is not *complete*: run, verdict, reason.
    reasons: list[str] = field(default_factory=list)
    # How many runs there are, judged or not.
    runs: int = 0

    @property
    def incomplete(self) -> int:
        """How many runs are not complete."""
        return self.counts.total() - self.counts["complete"]

    def __str__(self) -> str:
        said = "verdicts " + ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items()))
        return said if self.counts.total() == self.runs else f"{said} (of {self.runs} runs)"


def runs(requests: Sequence[Request], known: Mapping[Work, Expected], *, jobs: bool) -> dict[Run, list[int]]:
    """Return each run with the steps that the player sent; a job is no step, and neither is a block of a request."""
    found: dict[Run, list[int]] = {}
    for request in requests:
        if request.traced:
            steps = found.setdefault((request.slug, request.run), [])
            if not jobs:
                steps.append(request.number)
            if known[request.work].inner:
                found.setdefault((request.inner_slug, request.run), [])
    return found


def judge(
    program: Path,
    coverage: Path,
    shards: Sequence[check.Shard],
    expected: Mapping[Run, Sequence[int]],
    most: int | None = None,
) -> Verdicts:
    """Have the program judge each run, or as many as `most`, evenly chosen. Each gets a directory of its own.

    Shards and ledgers are moved there. With all of them in one, each merge would look at thousands of shards.
    """
    apart = coverage.with_name("judged")
    for shard in shards:
        slug, run, _ = shard.owner
        (apart / run).mkdir(parents=True, exist_ok=True)
        shard.path.rename(apart / run / shard.path.name)
        expected = {(slug, run): (), **expected}
    for slug, run in expected:
        ledgers = coverage / _LEDGERS / slug / run
        (apart / run / _LEDGERS / slug).mkdir(parents=True, exist_ok=True)
        if ledgers.is_dir():
            ledgers.rename(apart / run / _LEDGERS / slug / run)
    verdicts = Verdicts(runs=len(expected))
    chosen = sorted(expected)[:: -(-len(expected) // most) if most else 1]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(lambda one: (one, _judge(program, apart / one[1], one, expected[one])), chosen)
        for (slug, run), (status, reasons) in work:
            verdicts.counts[status] += 1
            verdicts.reasons += [f"{slug} {run}: {status}: {reason}" for reason in reasons]
    return verdicts


def _judge(program: Path, directory: Path, run: Run, steps: Sequence[int]) -> tuple[str, list[str]]:
    slug, token = run
    manifest = directory / f"{slug}.manifest"
    _write_manifest(manifest, run, steps)
    argv = [str(program), "combine", "--quiet", "--keep", "--profile", slug, "--run", token, "--manifest"]
    done = subprocess.run(
        [*argv, str(manifest), str(directory)], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    verdict = directory / f"{slug}.verdict.json"
    if not verdict.is_file():
        return "none", [f"{done.stdout}{done.stderr}".strip()]
    document = json.loads(verdict.read_text(encoding="utf-8"))
    return document["status"], document["reasons"]


def _write_manifest(path: Path, run: Run, steps: Sequence[int]) -> None:
    """Write what the player records of a run that went well (docs/adr/0002-formats-on-disk.md)."""
    slug, token = run
    process = {"host": os.uname().nodename, **_PLAYER}
    told = {"base_url": "http://app", "command": "make stress"}
    records: list[dict[str, object]] = [
        {"t": "boot", "version": 1, "process": process, "ppid": 1, "role": "player", "program": "make stress"},
        {"t": "manifest", "version": 1, "profile": slug, "run": token, "steps": len(steps), **told},
    ]
    for step in steps:
        records.append({"t": "sent", "step": step, "method": "GET", "target": f"/work?{step}"})
        records.append({"t": "answered", "step": step, "status": 200, "trace": "on"})
    records.append({"t": "end", "outcome": "passed"})
    at = time.time_ns() // 1_000_000
    texts = (json.dumps({"at": at, **record}, separators=(",", ":")).encode() for record in records)
    path.write_bytes(b"".join(b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text) for text in texts))
