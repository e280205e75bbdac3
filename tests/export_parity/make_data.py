"""Makes a data file in which some lines of some files were executed, in some contexts. Nothing is run.

Usage: python make_data.py DATA lines|arcs CONTEXTS <FILES, with one file name a line on the standard input; CONTEXTS is
how many there are. Which lines is drawn from the files' names: the same files give the same data. Lines that are no
statements are among them, as in data of real tracers.
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

import coverage

CONTEXTS = ["", "profile:first", "profile:second:12", "profile:second:3", "import", 'é "<&>']


def main() -> None:
    """Write it."""
    data = coverage.CoverageData(sys.argv[1])
    paths = sys.stdin.read().splitlines()
    for number, label in enumerate(CONTEXTS[: int(sys.argv[3])]):
        data.set_context(label)
        for path in paths:
            draw = random.Random(f"{number} {Path(path).name}")
            count = Path(path).read_bytes().count(b"\n") + 1
            # Every few files are touched by all contexts, some by none, some executed completely.
            share = draw.choice([0.0, 0.1, 0.5, 0.5, 1.0]) if number else draw.choice([0.0, 0.3, 1.0])
            lines = {line for line in range(1, count + 1) if draw.random() < share}
            if sys.argv[2] == "arcs":
                ordered = [-1, *sorted(lines), -1]
                data.add_arcs({path: list(itertools.pairwise(ordered))})
            else:
                data.add_lines({path: lines})
    data.write()


if __name__ == "__main__":
    main()
