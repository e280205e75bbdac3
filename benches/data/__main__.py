"""Measure, write `benches/results/bench-data.json`, print the same as a table.

    python -m benches.data [--quick] [--rounds N] [--only ROW ...]

Ends with 0 when everything could be measured, whatever the figures are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..tracer.processes import ROOT
from ..tracer.results import Row, table, write
from . import rows_memory
from .measure import CommandFailed
from .peers import peers, versions
from .rows_combine import ROWS, NotEqual, Setting, rows

_HOW = "make bench-data"
NAMES = [*ROWS, rows_memory.IDENT, rows_memory.IDENT_PROFILE]


def say(what: str) -> None:
    """Tell what is being measured."""
    print(f"==> {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benches.data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short: shows that everything runs; its figures are rough")
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is run")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="ROW", help="rows: " + ", ".join(NAMES))
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "playtrace")
    parser.add_argument("--home", type=Path, default=ROOT / "target" / "bench-data", help="where inputs are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "benches" / "results" / "bench-data.json")
    given = parser.parse_args(arguments)
    begun, load = time.monotonic(), os.getloadavg()
    home = given.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    try:
        found = peers(home, say)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    setting = Setting(given.program.resolve(), found, home, 3 if given.quick else given.rounds, say)
    made: list[Row] = []
    failed = False
    for ident in given.only or NAMES:
        try:
            measure = rows if ident in ROWS else rows_memory.rows
            made += measure(ident, setting, _HOW)
        except (NotEqual, CommandFailed, OSError, subprocess.CalledProcessError) as error:
            failed = True
            say(f"{ident}: {error}")
            target, unit = (ROWS[ident][1], "s") if ident in ROWS else (rows_memory.TARGET, "MB")
            made.append(Row(ident, None, unit, target, False, _HOW, note=f"not measured: {error}"))
    run = {
        "quick": given.quick,
        "load": {"before": list(load), "after": list(os.getloadavg())},
        "seconds": round(time.monotonic() - begun),
    }
    write(given.out, made, versions(found), run)
    print(table(made))
    print(f"\nload before {load[0]:.1f}, after {run['load']['after'][0]:.1f}; written to {given.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
