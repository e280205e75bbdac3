"""Measure, write `benches/results/bench-tracer.json`, print the same as a table.

    python -m benches.tracer [--quick] [--only ROW ...] [--python 3.12 ...]

Ends with 0 when everything could be measured that this machine has the programs for, whatever the figures are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import pythons, results, rows_bodies, rows_files, rows_processes, rows_steps
from .processes import ROOT, WorkerError
from .results import TARGETS, Row, not_measured, worst
from .setting import Setting

_HOW = "make bench-tracer"
_BODY_ROWS = ("off", "never", "idle", "always", "fixed", "cpu", "cpu-request", "flat-request")


def say(what: str) -> None:
    """Tell what is being measured."""
    print(f"==> {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benches.tracer", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short: shows that everything runs; its figures are rough")
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), metavar="ROW", help="rows: " + ", ".join(TARGETS))
    parser.add_argument("--python", nargs="+", choices=pythons.VERSIONS, default=pythons.VERSIONS, help="both")
    parser.add_argument(
        "--home", type=Path, default=ROOT / "target" / "bench-tracer", help="where environments are kept"
    )
    parser.add_argument("--redis-server", type=Path, default=None, help="for the row steps; default: found")
    parser.add_argument("--out", type=Path, default=ROOT / "benches" / "results" / "bench-tracer.json")
    given = parser.parse_args(arguments)
    only = tuple(given.only or TARGETS)
    rows: list[Row] = []
    versions: dict[str, str] = {}
    begun, load = time.monotonic(), os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench-tracer-") as work:
        for version in given.python:
            try:
                python = pythons.environment_of(version, pythons.the_wheel(), given.home, say)
            except pythons.NoPython as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            versions |= {f"{name} ({version})": number for name, number in pythons.versions_of(python).items()}
            least = pythons.least_of(python, given.home / f"python-{version}", say)
            setting = Setting(version, python, Path(work) / version, given.quick, least)
            setting.prepare()
            rows += _rows(setting, only, _redis_server(given.redis_server))
    rows = _in_order(rows, only)
    ended = os.getloadavg()
    run = {
        "quick": given.quick,
        "load": {"before": list(load), "after": list(ended)},
        "seconds": round(time.monotonic() - begun),
    }
    results.write(given.out, rows, versions, run)
    print(results.table(rows))
    print(f"\nload before {load[0]:.1f}, after {ended[0]:.1f}; {run['seconds']} s; written to {given.out}")
    return 1 if any(row.value is None and row.id in TARGETS and not _refused(row) for row in rows) else 0


def _refused(row: Row) -> bool:
    """Whether the agent itself says that it does not do this."""
    return "PROFILE_COVERAGE_GRANULARITY" in (row.note or "")


def _rows(setting: Setting, only: Sequence[str], redis_server: Path | None) -> list[Row]:
    """All sub-rows of one Python version. What fails is told in its rows, and the others are measured all the same."""
    made: list[Row] = []

    def part(idents: Sequence[str], measure: object) -> None:
        if not set(idents) & set(only):
            return
        try:
            made.extend(measure())  # type: ignore[operator]
        except (WorkerError, OSError, ValueError) as error:
            say(f"{setting.version}: {', '.join(idents)}: {error}")
            made.extend(not_measured(f"{ident}.{setting.version}", str(error), _HOW) for ident in idents)

    part(_BODY_ROWS, lambda: rows_bodies.rows(setting, rows_bodies.measure(setting, say), _HOW))
    part(("first", "fixed"), lambda: rows_processes.first(setting, _HOW, say))
    part(("neighbour",), lambda: rows_processes.neighbour(setting, _HOW, say))
    part(("memory",), lambda: rows_processes.memory(setting, _HOW, say))
    part(("files",), lambda: rows_files.files(setting, _HOW, say))
    if redis_server is None:
        part(("steps",), lambda: [not_measured(f"steps.steps.{setting.version}", "no redis-server was found", _HOW)])
    else:
        part(("steps",), lambda: rows_steps.steps(setting, redis_server, _HOW, say))
    return made


def _redis_server(given: Path | None) -> Path | None:
    """The one that is named, the one that `make setup` fetched, or the one on the PATH."""
    found = shutil.which("redis-server")
    candidates = [given, ROOT / ".tools" / "redis-server", Path(found) if found else None]
    return next((path for path in candidates if path is not None and path.is_file()), None)


def _in_order(rows: Sequence[Row], only: Sequence[str]) -> list[Row]:
    """Each row of the issue's table, in its order, with its sub-rows below it."""
    ordered: list[Row] = []
    for ident in TARGETS:
        if ident in only:
            below = [row for row in rows if row.id.startswith(f"{ident}.")]
            # The table's row is about one granularity; the others are there to compare.
            own = [row for row in below if row.id.startswith("steps.steps.")] if ident == "steps" else below
            ordered += [worst(ident, own), *below]
            if ident == "cpu":
                ordered += [row for row in rows if row.id.startswith("cpu-body.")]
    return ordered


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
