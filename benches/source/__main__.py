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
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.samples import Samples, median, ratio_row, rounds_of, row, share_row
from tests.source_parity import compare, places

FILE = places.ROOT / "benches" / "results" / "source.json"
HOW = "make bench-source"
RELEASE = places.ROOT / "target" / "release"
#: What coverage.py's report and `ast` took where the targets in seconds were set: a slower machine is so for both.
THEN_REPORT, THEN_AST = 5.8, 19.0
AST = """import ast, pathlib, sys
for place in sys.argv[1:]:
    for file in pathlib.Path(place).rglob('*.py'):
        try: sum(1 for _ in ast.walk(ast.parse(file.read_bytes())))
        except (SyntaxError, ValueError): pass
"""


def _build() -> None:
    """Build what is measured: an older build that lies about would be taken for it."""
    build = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run([*build, "--package", "playtrace"], cwd=places.ROOT, check=True)
    subprocess.run([*build, "--package", "playtrace-pysource", "--examples"], cwd=places.ROOT, check=True)


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.source", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    _build()
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
    rounds_of([cold, again, warm, parser], rounds)
    # A data file in which next to nothing is executed: `report` then analyses every file.
    report = [str(oracle.interpreter), "-m", "coverage"]
    data = work / "data"
    make = "import coverage, pathlib, sys; d = coverage.CoverageData(sys.argv[1]);"
    make += " d.add_lines({str(p): [1] for p in pathlib.Path(sys.argv[2]).rglob('*.py')}); d.write()"
    subprocess.run([oracle.interpreter, "-c", make, data, django], check=True)
    theirs = Samples([*report, "report", "--ignore-errors", f"--data-file={data}"])
    rounds_of([theirs], 3)
    peers = {"coverage report": median(theirs), "ruff's parser alone": median(parser)}
    alone = {"ruff's parser alone": median(parser)}
    return [
        row("statements and symbols of Django", cold, again, 0.10, peers, HOW),
        row("statements and symbols of Django, warm", warm, None, None, peers, HOW),
        row("ruff's parser alone, Django", parser, None, None, {}, HOW),
        ratio_row("statements and symbols of Django, beside the parser alone", cold, again, parser, 2.5, alone, HOW),
        share_row(
            "statements and symbols of Django, beside coverage.py", cold, again, theirs, 0.10 / THEN_REPORT, peers, HOW
        ),
    ]


def _symbols(trees: Sequence[Path], oracle: places.Oracle, rounds: int) -> list[dict[str, Any]]:
    names = [str(tree) for tree in trees]
    sources = str(RELEASE / "examples" / "sources")
    ours, again = Samples([sources, "analyze", *names]), Samples([sources, "analyze", *names])
    parser = Samples([sources, "parse", *names])
    rounds_of([ours, again, parser], rounds)
    theirs = Samples([str(oracle.interpreter), "-W", "ignore", "-c", AST, *names])
    rounds_of([theirs], 1)
    peers = {"CPython's ast": median(theirs), "ruff's parser alone": median(parser)}
    alone = {"ruff's parser alone": median(parser)}
    name = "symbols of the standard library, Django and SQLAlchemy"
    return [
        row(name, ours, again, 0.5, peers, HOW),
        row("ruff's parser alone, the three", parser, None, None, {}, HOW),
        ratio_row(f"{name}, beside the parser alone", ours, again, parser, 1.67, alone, HOW),
        share_row(f"{name}, beside `ast`", ours, again, theirs, 0.5 / THEN_AST, peers, HOW),
    ]


if __name__ == "__main__":
    sys.exit(main())
