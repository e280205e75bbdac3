"""What a plain merge of shards that share no row takes, for as many GB as the disk can spare: measured, not drawn out.

    python -m benches.data.ten_gb PROGRAM TEMPLATE PLACE GB [GB ...]

`TEMPLATE` is the shard that `make bench-data` leaves in `target/bench-data/shards`. Inputs lose their names once they
have been read, so that `PLACE` needs room for them or for the output; rows on their way lie in `TMPDIR`, and take about
0.7 of the size.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import struct
import sys
import threading
from pathlib import Path

from .measure import run

_MARK = b":run-00000"
#: `IN_CLOSE_NOWRITE` of inotify(7).
_CLOSED = 0x10


def _template(shard: Path, place: Path) -> tuple[bytes, int]:
    """A shard whose labels end in a number that can be replaced in its bytes, and how many rows it has."""
    copy = place / "template"
    shutil.copy(shard, copy)
    database = sqlite3.connect(copy)
    database.execute("UPDATE context SET context = context || ?", (_MARK.decode(),))
    database.commit()
    database.execute("VACUUM")
    (rows,) = database.execute("SELECT count(*) FROM line_bits").fetchone()
    database.close()
    content = copy.read_bytes()
    copy.unlink()
    return content, rows


def _forget_what_was_read(place: Path) -> None:
    """Remove each input when it has been closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init()
    libc.inotify_add_watch(watch, os.fsencode(place), _CLOSED)

    def follow() -> None:
        while True:
            events, at = os.read(watch, 1 << 16), 0
            while at < len(events):
                _, _, _, length = struct.unpack_from("iIII", events, at)
                name = os.fsdecode(events[at + 16 : at + 16 + length].rstrip(b"\0"))
                at += 16 + length
                if name.startswith(".coverage.host"):
                    (place / name).unlink(missing_ok=True)

    threading.Thread(target=follow, daemon=True).start()


def main() -> None:
    """Measure each size."""
    program, shard, place = (Path(word).resolve() for word in sys.argv[1:4])
    for size in map(float, sys.argv[4:]):
        work = place / "ten-gb"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        content, rows = _template(shard, place)
        shards = round(size * 1e9 / len(content))
        for number in range(shards):
            text = content.replace(_MARK, b":run-%05d" % number)
            (work / f".coverage.host.{10_000 + number}.Xabcdefx").write_bytes(text)
        _forget_what_was_read(work)
        cost = run([program, "combine", "-q", "--data-file", ".coverage"], work)
        database = sqlite3.connect(work / ".coverage")
        (found,) = database.execute("SELECT max(rowid) FROM line_bits").fetchone()
        database.close()
        shutil.rmtree(work)
        print(
            f"{shards} shards, {shards * len(content) / 1e9:.2f} GB: {cost.memory:.0f} MB, {cost.seconds:.1f} s,"
            f" {cost.processor:.1f} s of processors; rows {found}, expected {shards * rows}",
            flush=True,
        )


if __name__ == "__main__":
    main()
