"""`make bench-perf`: a slowdown of 10 % is planted, or none, and `playtrace perf` is asked, again and again.

    python -m benches.perf [--trials N] [--rounds N]

Planted and none take turns. Wall-clock time decides, as it does in `perf`: on a machine that has other things to do,
trials can't tell, and where more than a tenth of them can't, the row says `not measured`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.oracle import surroundings

from .trials import Trial, trial

FILE = surroundings.REPOSITORY / "benches" / "results" / "bench-perf.json"
HOW = "make bench-perf"
PLANTED = 0.10


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.perf", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=36)
    given = parser.parse_args()
    load = [round(load, 1) for load in os.getloadavg()]
    trials: dict[float, list[Trial]] = {PLANTED: [], 0.0: []}
    for number in range(1, given.trials + 1):
        for planted, done in trials.items():
            done.append(trial(planted, given.rounds))
            print(
                f"==> trial {number} of {given.trials}, planted {planted:.0%}: {done[-1]}", file=sys.stderr, flush=True
            )
    found = row("a planted slowdown of 10 % is found", trials[PLANTED])
    # That nothing is found means something only where something would have been: in the trials between, it was.
    rows = [found, row("none is found where there is none", trials[0.0], clear=found["met"] is True)]
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "load": load,
            "load after": [round(load, 1) for load in os.getloadavg()],
            "rounds": given.rounds,
        },
        "versions": {"playtrace": _version(), "python": platform.python_version()},
        "rows": rows,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for entry in rows:
        print(f"{entry['id']}: {entry['value']} {entry['unit']} (target {entry['target']}, met {entry['met']})")
    return 0


def row(ident: str, trials: Sequence[Trial], *, clear: bool = False) -> dict[str, Any]:
    """A row of the result: how many trials are right; nine in ten should be.

    `clear` says that the machine is known to be quiet enough for these trials.
    """
    right, told = sum(trial.is_right for trial in trials), sum(trial.can_tell for trial in trials)
    target = -(-len(trials) * 9 // 10)
    # What is found is found on any machine.
    clear = clear or told >= target or (right >= target and all(trial.planted > 0 for trial in trials))
    return {
        "id": ident,
        "value": right,
        "unit": f"trials of {len(trials)}",
        "target": target,
        "better": "higher",
        "met": right >= target if clear else "not measured",
        "peers": {},
        "how": HOW,
        "could tell": told,
        "wrong": sum(trial.is_wrong for trial in trials),
        "intervals": [[round(bound, 4) for bound in (trial.low, trial.value, trial.high)] for trial in trials],
        "control": [round(trial.stray, 4) for trial in trials],
    }


def _version() -> str:
    done = subprocess.run([surroundings.program(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("playtrace ")


if __name__ == "__main__":
    sys.exit(main())
