"""`make parity`: coverage.py's reports of large packages, and playtrace's from the same data files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.export_parity import compare
from tests.export_parity.cases import CASES, Case
from tests.parity.results import row
from tests.source_parity import places

FILE = places.ROOT / "benches" / "results" / "export-parity.json"
HOW = "make parity"
#: Packages whose reports are compared with every option, and those with one report in each format: coverage.py takes
#: hours for these. Each by two releases of coverage.py under two Pythons.
EVERY_OPTION = ("flask", "rq", "django")
EACH_FORMAT = ("twisted", "sqlalchemy", "ansible-core", "numpy", "sympy", "pandas", places.STDLIB, "homeassistant")
PACKAGES = (*EVERY_OPTION, *EACH_FORMAT)
ONE_OF_EACH = ("text", "json", "xml", "lcov", "html")
#: coverage.py says a file's contexts again for each of its functions: of large packages' files up to so many bytes are
#: compared, the others' are gigabytes.
OF_SMALLER, SMALLER = ("text", "json, contexts"), 40_000


def main() -> int:
    """Run what is asked for; everything, unless something is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.export_parity", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the playtrace program")
    parser.add_argument("--python", action="append", choices=places.VERSIONS, help="only this Python (repeatable)")
    parser.add_argument("--coverage", action="append", choices=list(places.COVERAGES), help="only this coverage.py")
    parser.add_argument("--package", action="append", choices=PACKAGES, help="only this package (repeatable)")
    parser.add_argument("--results", type=Path, default=FILE, help="where what was compared is added")
    arguments = parser.parse_args()
    is_partial = bool(arguments.python or arguments.coverage or arguments.package)
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
            for name, files, cases in parts(package, places.files(home)):
                with tempfile.TemporaryDirectory(prefix="export-parity-") as work:
                    program = arguments.program.resolve()
                    tally = compare.measure(program, name, oracle, home, files, Path(work), cases, remember=True)
                tallies.append(tally)
                print(tally, flush=True)
                for difference in tally.differences[:20]:
                    print(f"  {difference}", flush=True)
                if is_partial:
                    write([tally], arguments.results, partial=True)
    if not is_partial:
        write(tallies, arguments.results)
    return 1 if any(tally.differences for tally in tallies) else 0


def parts(package: str, files: list[Path]) -> list[tuple[str, list[Path], list[Case]]]:
    """What is compared of a package: under which name, which files, by which reports."""
    if package in EVERY_OPTION:
        return [(package, files, list(CASES))]
    smaller = [file for file in files if file.stat().st_size <= SMALLER]
    return [
        (package, files, [case for case in CASES if case.name in ONE_OF_EACH]),
        (f"{package}-smaller", smaller, [case for case in CASES if case.name in OF_SMALLER]),
    ]


def write(tallies: list[compare.Tally], file: Path, *, partial: bool = False) -> None:
    """Write the rows. What a partial run did not compare keeps the rows that it had: all of it takes many hours."""
    known = json.loads(file.read_text(encoding="utf-8")) if partial and file.exists() else {"versions": {}, "rows": []}
    rows = {entry["id"]: entry for entry in known["rows"]}
    for tally in tallies:
        name = f"{tally.package}, Python {tally.oracle.python}, coverage.py {tally.oracle.coverage}"
        for entry in (
            row(f"mismatches, {name}", len(tally.differences), "differences", 0, "lower"),
            row(f"statements, {name}", tally.statements, "statements", None, "higher"),
            row(f"reports, {name}", tally.reports, "reports", None, "higher"),
        ):
            rows[entry["id"]] = {**entry, "how": HOW}
    oracles = {tally.oracle.described for tally in tallies} | set(known["versions"].get("oracles", ()))
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"oracles": sorted(oracles), **places.releases()},
        "rows": sorted(rows.values(), key=_order),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(file)


def _order(entry: dict[str, Any]) -> list[str]:
    """By Python, then by coverage.py, then by package."""
    _, package, python, coverage = entry["id"].split(", ")
    return [python, coverage, package]


if __name__ == "__main__":
    sys.exit(main())
