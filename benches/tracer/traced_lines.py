"""What tracers saw, from the data files that they left."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from coverage import CoverageData


def lines_below(directory: Path) -> dict[str, set[int]]:
    """By file name, the lines in all data files of a directory; what imports executed is not counted."""
    found: dict[str, set[int]] = defaultdict(set)
    for path in sorted(directory.glob("*.coverage.*")):
        if path.name.endswith("-journal"):
            continue
        data = CoverageData(basename=str(path))
        data.read()
        for measured in data.measured_files():
            for line, contexts in data.contexts_by_lineno(measured).items():
                if any(context != "import" for context in contexts):
                    found[Path(measured).name].add(line)
    return found


def same_lines(ours: Path, theirs: Path) -> str | None:
    """Where two directories differ, in words; `None` where they agree. A file that one of them lacks is a difference.

    Only what was executed by requests counts, and each process imports its modules before its first one.
    """
    left, right = lines_below(ours), lines_below(theirs)
    for name in sorted(left.keys() | right.keys()):
        differing = left[name] ^ right[name]
        if differing:
            return f"{name}: lines {sorted(differing)[:10]} of {len(left[name])} and {len(right[name])}"
    return None if right else "coverage.py saw nothing"
