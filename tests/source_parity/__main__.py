"""`make parity`: what could run in the sources of large packages, by coverage.py and CPython and by playtrace."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.source_parity import accepted, compare, places, results


def main() -> int:
    """Run what is asked for; everything, unless something is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.source_parity", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the playtrace program")
    parser.add_argument("--python", action="append", choices=places.VERSIONS, help="only this Python (repeatable)")
    parser.add_argument("--coverage", action="append", choices=list(places.COVERAGES), help="only this coverage.py")
    parser.add_argument("--package", action="append", help="only this package (repeatable)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="where what was compared is added")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="of the oracle")
    parser.add_argument("--show", type=int, default=20, help="how many differences of a package to print")
    arguments = parser.parse_args()
    partial = bool(arguments.python or arguments.coverage or arguments.package)
    try:
        oracles = [
            places.oracle(python, coverage)
            for python in arguments.python or places.VERSIONS
            for coverage in arguments.coverage or places.COVERAGES
        ]
        unpacked = places.packages(oracles[-1].interpreter)
    except places.Missing as missing:
        print(f"source parity: {missing}", file=sys.stderr)
        return 2
    outcome = results.Outcome([], accepted.read(), places.releases())
    program = arguments.program.resolve()
    for oracle in oracles:
        for package, home in {places.STDLIB: oracle.stdlib, **unpacked}.items():
            if arguments.package and package not in arguments.package:
                continue
            files = places.files(home)
            tally = compare.measure(program, package, oracle, home, files, arguments.processes)
            outcome.tallies.append(tally)
            print(tally, flush=True)
            for difference in tally.differences[: arguments.show]:
                print(f"  {difference}", flush=True)
            if partial:
                results.write(outcome, arguments.results, partial=True)
    if not partial:
        results.write(outcome, arguments.results)
    wrong = outcome.failures(partial)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
