"""What SQLite itself takes for the rows of a merge, against the whole merge: the figures of ADR-0009.

    python -m benches.data.sqlite_cost DIRECTORY_OF_SHARDS [--program target/release/playtrace]

Seconds of processors, user and system. Reading is a connection and three queries for each shard, rows counted inside
SQLite. Writing is the merged file's rows, already sorted: by one `INSERT … SELECT`, and by a prepared `INSERT` a row.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..tracer.processes import ROOT
from .measure import run


def taken(work: Callable[[], object]) -> float:
    """Seconds of processors that this process spends on something."""
    begun = resource.getrusage(resource.RUSAGE_SELF)
    work()
    done = resource.getrusage(resource.RUSAGE_SELF)
    return done.ru_utime + done.ru_stime - begun.ru_utime - begun.ru_stime


def read(shards: Sequence[Path]) -> None:
    """All rows of all shards, without any of them becoming a Python object."""
    for shard in shards:
        database = sqlite3.connect(f"file:{shard}?mode=ro", uri=True)
        database.execute("SELECT * FROM file").fetchall()
        database.execute("SELECT * FROM context").fetchall()
        database.execute("SELECT count(*), sum(length(numbits)) FROM line_bits").fetchall()
        database.close()


def like(merged: Path, place: Path) -> sqlite3.Connection:
    """An empty file with the tables of another, which is attached as `merged`; it need not survive anything."""
    database = sqlite3.connect(place, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("ATTACH ? AS merged", (str(merged),))
    for (statement,) in database.execute("SELECT sql FROM merged.sqlite_master WHERE sql IS NOT NULL").fetchall():
        database.execute(statement)
    return database


def main(arguments: Sequence[str]) -> int:
    """Measure, print a line."""
    parser = argparse.ArgumentParser(prog="python -m benches.data.sqlite_cost")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "playtrace")
    given = parser.parse_args(arguments)
    shards = sorted(given.shards.resolve().glob(".coverage.*"))
    with tempfile.TemporaryDirectory() as place:
        merged = Path(place) / ".coverage"
        combine = [given.program.resolve(), "combine", "-q", "--keep", "--data-file", merged, given.shards.resolve()]
        whole = run(combine, Path(place)).processor
        reading = taken(lambda: read(shards))
        at_once = like(merged, Path(place) / "at-once")
        copying = taken(lambda: at_once.execute("INSERT INTO line_bits SELECT * FROM merged.line_bits"))
        one_by_one = like(merged, Path(place) / "one-by-one")
        rows = one_by_one.execute("SELECT * FROM merged.line_bits").fetchall()
        one_by_one.execute("BEGIN")
        inserting = taken(lambda: one_by_one.executemany("INSERT INTO line_bits VALUES (?, ?, ?)", rows))
        print(
            f"{len(shards)} shards, {len(rows)} rows out: SQLite reads in {reading:.2f} s, writes in {copying:.2f} s"
            f" at once and {inserting:.2f} s row by row; the whole merge takes {whole:.2f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
