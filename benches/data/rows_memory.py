"""How much memory a merge takes that is far larger than memory: measured at some sizes, and drawn out to 10 GB.

10 GB of shards are more than most disks that run this can spare, three times over. So less is merged, each time far
more than what a merge keeps of rows in memory, and the line through what that took is drawn out. With `--profile`, the
same shards have a ledger that proves all that they hold, which is larger than they are.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
from pathlib import Path

from ..tracer.results import Row
from . import traced
from .inputs import Shards, prepare
from .measure import Cost, run
from .rows_combine import NotEqual, Setting

IDENT = "combine-large"
IDENT_PROFILE = "combine-profile-large"
#: MB, for 10 GB of shards.
TARGET = 500.0
#: One shard that coverage.py writes; all others are copies of it with contexts of their own, so that no row is shared.
TEMPLATE = Shards("template", 1, 300, 80, 20, 20)
SIZES_MB = (500, 750, 1_000, 2_000)


def rows(ident: str, setting: Setting, how: str) -> list[Row]:
    """The row: what 10 GB would take, merged as `ident` says.

    Raises:
        NotEqual: A merge lost rows; nothing is reported then.
        CommandFailed: A merge ended badly.
    """
    template = next(prepare(TEMPLATE, setting.home / "shards", setting.found[0].python, setting.say).iterdir())
    per_shard = template.stat().st_size / 1e6
    work = setting.home / "large"
    costs: list[tuple[float, Cost]] = []
    for size in SIZES_MB:
        shards = round(size / per_shard)
        setting.say(f"{ident}: {shards} shards, {size} MB")
        command: list[Path | str] = [setting.program, "combine", "-q"]
        if ident == IDENT:
            write(template, work, shards)
            command += ["--data-file", ".coverage"]
            merged = work / ".coverage"
        else:
            traced.write(template, work, shards)
            command += ["--profile", traced.SLUG, work]
            merged = work / f"{traced.SLUG}.coverage"
        cost = run(command, work)
        check(template, merged, shards)
        costs.append((shards * per_shard / 1e3, cost))
        shutil.rmtree(work)
    sizes, memory = [size for size, _ in costs], [cost.memory for _, cost in costs]
    slope, base = statistics.linear_regression(sizes, memory)
    # How full memory is when the last input comes differs from size to size: the worst of them is added.
    stray = max(found - (base + slope * size) for size, found in zip(sizes, memory, strict=True))
    drawn_out = base + max(slope, 0.0) * 10 + stray
    each = ", ".join(f"{found:.0f} MB for {size:.2f} GB" for size, found in zip(sizes, memory, strict=True))
    note = (
        f"{each}: {slope:.0f} MB for each further GB, {stray:.0f} MB above the line at most;"
        f" the largest took {costs[-1][1].processor:.1f} s of processors"
    )
    return [Row(f"{ident}.memory", drawn_out, "MB", TARGET, drawn_out <= TARGET, how, note=note)]


def write(template: Path, place: Path, shards: int) -> None:
    """Copies of a shard that share no row: each context is named after its shard."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for number in range(shards):
        shard = place / f".coverage.host.{10_000 + number}.Xabcdefx"
        shutil.copy(template, shard)
        with sqlite3.connect(shard) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("UPDATE context SET context = context || ?", (f":run-{number:05}",))
        database.close()


def check(template: Path, merged: Path, shards: int) -> None:
    """Every row of every shard is in the merged file."""
    database = sqlite3.connect(merged)
    database.execute("ATTACH ? AS template", (str(template),))
    found = database.execute("SELECT count(*), count(DISTINCT context_id) FROM line_bits").fetchone()
    one = database.execute("SELECT count(*), count(DISTINCT context_id) FROM template.line_bits").fetchone()
    expected = tuple(shards * number for number in one)
    # With as many rows as there must be, no row may say something else than its original.
    wrong = database.execute(
        "SELECT count(*) FROM line_bits JOIN file ON file.id = file_id JOIN context ON context.id = context_id"
        " WHERE NOT EXISTS (SELECT 1 FROM template.line_bits AS t JOIN template.file AS f ON f.id = t.file_id"
        " JOIN template.context AS c ON c.id = t.context_id WHERE f.path = file.path"
        " AND c.context = substr(context.context, 1, length(c.context)) AND t.numbits = line_bits.numbits)"
        f" AND line_bits.rowid % {max(1, shards)} = 0"
    ).fetchone()
    database.close()
    if found != expected or wrong != (0,):
        raise NotEqual(f"{merged}: {found} rows and contexts, {expected} expected; {wrong[0]} differ")
