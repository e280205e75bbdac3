"""`make bench-export`: coverage.py's reports of Django, by coverage.py and by `playtrace export`.

    python -m benches.export [--rounds N]

Everything runs N times (coverage.py once), one after the other in each round, without caches. What is timed is compared
with coverage.py's output first. Figures are wall-clock seconds of whole processes, on a machine that may have other
things to do: each row says what A/A gives, and `not measured` where that is not clear enough; `cpu` has the seconds of
the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benches.samples import Samples, median, rounds_of, row, share_row
from tests.export_parity import compare
from tests.export_parity.cases import CASES
from tests.source_parity import places

FILE = places.ROOT / "benches" / "results" / "export.json"
HOW = "make bench-export"
PROGRAM = places.ROOT / "target" / "release" / "playtrace"
#: How many contexts the data has: with three, coverage.py's JSON is as large as with data of a small test suite.
CONTEXTS = 3
#: Row, the case of the parity that it is, target in seconds on two cores, and coverage.py's seconds where that was set:
#: a slower machine is so for both.
ROWS = (
    ("text report of Django", "text", 0.15, 5.8),
    ("XML of Django", "xml", 0.15, 8.5),
    ("LCOV of Django", "lcov", 0.15, 8.5),
    ("JSON of Django", "json", None, None),
    ("JSON with contexts of Django", "json, contexts", 0.6, 26.0),
    ("HTML of Django", "html", 0.5, 24.5),
)


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    oracle = places.oracle("3.12", "7.11")
    home = places.packages(oracle.interpreter)["django"]
    files = places.files(home)
    cases = [case for _, name, *_ in ROWS for case in CASES if case.name == name]
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-export-") as directory:
        work = Path(directory)
        tally = compare.measure(PROGRAM, "django", oracle, home, files, work, cases, CONTEXTS)
        print(tally, flush=True)
        if tally.differences:
            print("bench-export: what would be timed is wrong", file=sys.stderr)
            return 1
        data = work / "data.coverage"
        for (name, _, target, then), case in zip(ROWS, cases, strict=True):
            ours = [str(PROGRAM), "export", str(data), "--format", case.format, "--source", str(home), "--no-cache"]
            ours += ["--python-version", "3.12", "-i", "-q", *case.options, "-o", str(work / "ours")]
            theirs = [
                str(oracle.interpreter),
                "-m",
                "coverage",
                case.command,
                "-i",
                f"--data-file={data}",
                *case.options,
            ]
            if case.command != "report":
                theirs += ["-d" if case.format == "html" else "-o", str(work / f"theirs.{case.format}")]
            compare.remove(work / "ours")
            cold, again, peer = Samples(ours, home), Samples(ours, home), Samples(theirs, home)
            rounds_of([cold, again], rounds)
            compare.remove(work / "ours")
            rounds_of([peer], 1)
            compare.remove(work / f"theirs.{case.format}")
            peers = {f"coverage {case.command}": median(peer), "the same, processor": round(peer.cpu[0], 3)}
            made = [row(name, cold, again, target, peers, HOW)]
            if target is not None and then is not None:
                made.append(share_row(f"{name}, beside coverage.py", cold, again, peer, target / then, peers, HOW))
            for one in made:
                said = f"{one['id']}: {one['value']} {one['unit']}, target {one['target']}, met {one['met']} {peers}"
                print(said, flush=True)
            rows += made
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
        "versions": {"oracle": oracle.described, "django": places.releases()["django"]},
        "rows": rows,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
