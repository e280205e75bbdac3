"""`make parity`: coverage.py's reports of large packages, and playtrace's from the same data files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.export_parity import compare
from tests.export_parity.cases import CASES
from tests.parity.results import row
from tests.source_parity import places

FILE = places.ROOT / "benches" / "results" / "export-parity.json"
HOW = "make parity"
#: Packages whose reports are compared with every option, and those with one report in each format: coverage.py takes
#: hours for these. Each by two releases of coverage.py under two Pythons.
EVERY_OPTION = ("flask", "rq", "twisted", "django")
EACH_FORMAT = ("sqlalchemy", "ansible-core", "numpy", "sympy", "pandas", places.STDLIB, "homeassistant")
PACKAGES = (*EVERY_OPTION, *EACH_FORMAT)
ONE_OF_EACH = ("text", "json", "json, contexts", "xml", "lcov", "html")


def main() -> int:
    """Run what is asked for; everything, unless something is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.export_parity", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the playtrace program")
    parser.add_argument("--python", action="append", choices=places.VERSIONS, help="only this Python (repeatable)")
    parser.add_argument("--coverage", action="append", choices=list(places.COVERAGES), help="only this coverage.py")
    parser.add_argument("--package", action="append", choices=PACKAGES, help="only this package (repeatable)")
    arguments = parser.parse_args()
    try:
        oracles = [
            places.oracle(python, coverage)
            for python in arguments.python or places.VERSIONS
            for coverage in arguments.coverage or places.COVERAGES
        ]
        homes = places.packages(oracles[-1].interpreter)
    except places.Missing as missing:
        print(f"export parity: {missing}", file=sys.stderr)
        return 2
    tallies = []
    for oracle in oracles:
        for package in arguments.package or PACKAGES:
            home = oracle.stdlib if package == places.STDLIB else homes[package]
            cases = [case for case in CASES if package in EVERY_OPTION or case.name in ONE_OF_EACH]
            with tempfile.TemporaryDirectory(prefix="export-parity-") as work:
                files = places.files(home)
                program = arguments.program.resolve()
                tally = compare.measure(program, package, oracle, home, files, Path(work), cases, remember=True)
            tallies.append(tally)
            print(tally, flush=True)
            for difference in tally.differences[:20]:
                print(f"  {difference}", flush=True)
    if not (arguments.python or arguments.coverage or arguments.package):
        write(tallies)
    return 1 if any(tally.differences for tally in tallies) else 0


def write(tallies: list[compare.Tally]) -> None:
    """Write the results."""
    rows = []
    for tally in tallies:
        name = f"{tally.package}, Python {tally.oracle.python}, coverage.py {tally.oracle.coverage}"
        rows.append(row(f"mismatches, {name}", len(tally.differences), "differences", 0, "lower"))
        rows.append(row(f"statements, {name}", tally.statements, "statements", None, "higher"))
        rows.append(row(f"reports, {name}", tally.reports, "reports", None, "higher"))
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"oracles": sorted({tally.oracle.described for tally in tallies}), **places.releases()},
        "rows": [{**entry, "how": HOW} for entry in rows],
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
