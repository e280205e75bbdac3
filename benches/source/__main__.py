"""`make bench-source`: statements and symbols of real packages, beside coverage.py, `ast` and the parser alone.

    python -m benches.source [--rounds N]

Everything runs N times, one after the other in each round, with empty caches unless a row says warm. What is timed
is compared with coverage.py's analysis first. Figures are wall-clock seconds of whole processes, on a machine that may
have other things to do: each row says what A/A gives, and `not measured` where that is not clear enough.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.source_parity import compare, places

FILE = places.ROOT / "benches" / "results" / "source.json"
HOW = "make bench-source"
RELEASE = places.ROOT / "target" / "release"
#: Twice the same must not differ by more, or a row tells nothing.
CLEAR = 0.15
AST = """import ast, pathlib, sys
for place in sys.argv[1:]:
    for file in pathlib.Path(place).rglob('*.py'):
        try: sum(1 for _ in ast.walk(ast.parse(file.read_bytes())))
        except (SyntaxError, ValueError): pass
"""


@dataclass
class Samples:
    """Wall-clock and processor seconds of a command."""

    command: list[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run it once more."""
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        self.wall.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def upper(self) -> float:
        """The upper end of the 95 % interval of the median, by its order statistics."""
        ordered, count = sorted(self.wall), len(self.wall)
        return ordered[min(count - 1, int(count / 2 + 0.98 * count**0.5) + 1)]


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.source", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    oracle = places.oracle("3.12", "7.11")
    packages = places.packages(oracle.interpreter)
    django = packages["django"] / "django"
    trees = [oracle.stdlib, django, packages["sqlalchemy"] / "sqlalchemy"]
    program = RELEASE / "playtrace"
    tally = compare.measure(program, "django", oracle, packages["django"], places.files(django), os.cpu_count() or 1)
    print(tally, flush=True)
    if tally.differences:
        print("bench-source: what would be timed is wrong", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-source-") as work:
        rows = _django(program, django, Path(work), oracle, rounds) + _symbols(trees, oracle, rounds)
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
        "versions": {"oracle": oracle.described, **places.releases()},
        "rows": rows,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for entry in rows:
        judged = f"target {entry['target']}, met {entry['met']}"
        print(f"{entry['id']}: {entry['value']} {entry['unit']} ({judged}) {entry['peers']}")
    return 0


def _django(program: Path, django: Path, work: Path, oracle: places.Oracle, rounds: int) -> list[dict[str, Any]]:
    build = [
        str(program),
        "index",
        "build",
        str(django),
        "--python-version",
        "3.12",
        "--output",
        str(work / "index.json"),
    ]
    cold = Samples([*build, "--no-cache"])
    again = Samples([*build, "--no-cache"])
    warm = Samples([*build, "--cache-dir", str(work / "cache")])
    parser = Samples([str(RELEASE / "examples" / "sources"), "parse", str(django)])
    warm.run()
    warm.wall.clear()
    warm.cpu.clear()
    _rounds([cold, again, warm, parser], rounds)
    # A data file in which next to nothing is executed: `report` then analyses every file.
    report = [str(oracle.interpreter), "-m", "coverage"]
    data = work / "data"
    make = "import coverage, pathlib, sys; d = coverage.CoverageData(sys.argv[1]);"
    make += " d.add_lines({str(p): [1] for p in pathlib.Path(sys.argv[2]).rglob('*.py')}); d.write()"
    subprocess.run([oracle.interpreter, "-c", make, data, django], check=True)
    theirs = Samples([*report, "report", "--ignore-errors", f"--data-file={data}"])
    _rounds([theirs], 3)
    peers = {"coverage report": _median(theirs), "ruff's parser alone": _median(parser)}
    return [
        _row("statements and symbols of Django", cold, again, 0.10, peers),
        _row("statements and symbols of Django, warm", warm, None, None, peers),
    ]


def _symbols(trees: Sequence[Path], oracle: places.Oracle, rounds: int) -> list[dict[str, Any]]:
    names = [str(tree) for tree in trees]
    sources = str(RELEASE / "examples" / "sources")
    ours, again = Samples([sources, "analyze", *names]), Samples([sources, "analyze", *names])
    parser = Samples([sources, "parse", *names])
    _rounds([ours, again, parser], rounds)
    theirs = Samples([str(oracle.interpreter), "-W", "ignore", "-c", AST, *names])
    _rounds([theirs], 1)
    peers = {"CPython's ast": _median(theirs), "ruff's parser alone": _median(parser)}
    return [_row("symbols of the standard library, Django and SQLAlchemy", ours, again, 0.5, peers)]


def _rounds(all_of_them: Sequence[Samples], rounds: int) -> None:
    for turn in range(rounds):
        for samples in all_of_them if turn % 2 == 0 else reversed(all_of_them):
            samples.run()


def _median(samples: Samples) -> float:
    return round(statistics.median(samples.wall), 4)


def _row(
    ident: str, samples: Samples, again: Samples | None, target: float | None, peers: dict[str, float]
) -> dict[str, Any]:
    control = None if again is None else round(statistics.median(again.wall) / statistics.median(samples.wall), 3)
    clear = control is None or abs(control - 1) <= CLEAR
    met: bool | str | None = None
    if target is not None:
        met = samples.upper() <= target if clear else "not measured"
    return {
        "id": ident,
        "value": _median(samples),
        "unit": "s",
        "target": target,
        "better": "lower",
        "met": met,
        "peers": peers,
        "how": HOW,
        "upper": round(samples.upper(), 4),
        "cpu": round(statistics.median(samples.cpu), 4),
        "control": control,
    }


if __name__ == "__main__":
    sys.exit(main())
