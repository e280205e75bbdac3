"""`python -m tests.oracle --profile SLUG --out DIR [--compare DATA.coverage]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.oracle import surroundings
from tests.oracle.compare import differences
from tests.oracle.run import pairs, read_contexts, record


def main() -> int:
    """Record one profile under coverage.py; 1 when a file to compare with differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--profile", required=True, choices=surroundings.slugs())
    parser.add_argument("--out", type=Path, required=True, help="an empty or new directory")
    parser.add_argument("--compare", type=Path, help="a data file that should hold the same lines")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    oracle = record(given.profile, out)
    target = out / f"{given.profile}.lines.json"
    listed = {path: sorted(lines) for path, lines in oracle.lines.items()}
    target.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    count = sum(1 for _ in pairs(oracle.lines))
    print(f"{given.profile}: {len(oracle.sent.statuses)} requests, {len(oracle.sent.jobs)} jobs waited for")
    print(f"{len(listed)} files, {count} lines: {target}")
    for surprise in oracle.sent.surprises:
        print(f"not as recorded: {surprise}")
    if given.compare is None:
        return 0
    found = read_contexts(given.compare).get(f"profile:{given.profile}", {})
    unequal = differences(oracle.lines, found, surroundings.ROOT, ("coverage.py", "playtrace"))
    print("\n".join(unequal) if unequal else "equal, line by line")
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
