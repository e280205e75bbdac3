"""What a data file holds: run by the peer's Python, which has nothing of ours.

    python content.py FILE

Prints a digest of all files, contexts and lines. That coverage.py can read the file is tried as well; for all rows, its
own interface would take minutes.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys

from coverage import CoverageData


def digest(name: str) -> str:
    """The same for equal content."""
    data = CoverageData(name)
    data.read()
    found = hashlib.sha256()
    found.update(repr((data.has_arcs(), sorted(data.measured_files()), sorted(data.measured_contexts()))).encode())
    data.close()
    database = sqlite3.connect(name)
    sane = database.execute("PRAGMA integrity_check").fetchall()
    if sane != [("ok",)]:
        raise ValueError(f"{name}: {sane}")
    rows = (
        "SELECT path, context, numbits FROM line_bits JOIN file ON file.id = file_id"
        " JOIN context ON context.id = context_id ORDER BY path, context"
    )
    for row in database.execute(rows):
        found.update(repr(row).encode())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest(sys.argv[1]))
