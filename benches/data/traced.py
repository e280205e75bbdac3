"""A traced run that is as large as one likes: shards that share no row, and a ledger that proves each line of them.

It is what agents leave that record by request: each process a shard and a ledger file, each request a context and two
records, and the player's own record of all steps.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from pathlib import Path

SLUG, RUN = "large", "bench-run"
HOST = "elsewhere"
BEGUN = 1_763_900_000_000


def write(template: Path, place: Path, shards: int) -> None:
    """Copies of a shard that share no row, each with its contexts named after it, and their ledger."""
    shutil.rmtree(place, ignore_errors=True)
    ledger = place / ".playtrace" / SLUG / RUN
    ledger.mkdir(parents=True)
    lines = _lines(template)
    sources: list[dict[str, object]] = [
        {"t": "source", "path": path, "hash": f"{number:064x}"} for number, path in enumerate(_files(template))
    ]
    player: list[dict[str, object]] = [
        _boot("player", 1),
        {
            "t": "manifest",
            "version": 1,
            "profile": SLUG,
            "run": RUN,
            "steps": shards * len(lines),
            "base_url": "http://127.0.0.1:8080",
            "command": "playtrace play",
        },
    ]
    step = 0
    for number in range(shards):
        name = f"{SLUG}.coverage.{HOST}.{10_000 + number}.Xabcdefx"
        shutil.copy(template, place / name)
        with sqlite3.connect(place / name) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("UPDATE context SET context = context || ?", (f":run-{number:05}",))
            database.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("playtrace_slug", SLUG), ("playtrace_run", RUN)]
            )
        database.close()
        records = [_record(record) for record in [_boot("web", 10_000 + number), *sources]]
        for unit, (context, files) in enumerate(lines.items()):
            step += 1
            records.append(
                _record(
                    {"t": "open", "unit": str(unit), "kind": "request", "step": step, "scope": f"{context}:{number}"}
                )
            )
            head = f'{{"at":{BEGUN},"t":"closed","unit":"{unit}","shard":"{name}","new":{{"{context}:run-{number:05}":'
            records.append(_frame(head.encode() + files + b"}}"))
            player.append({"t": "sent", "step": step, "method": "GET", "target": f"/page/{step}"})
            player.append({"t": "answered", "step": step, "status": 200, "trace": "on"})
        (ledger / f"{HOST}.{10_000 + number}.1.ledger").write_bytes(b"".join(records))
    player.append({"t": "end", "outcome": "passed"})
    (ledger / f"{HOST}.1.1.ledger").write_bytes(b"".join(map(_record, player)))


def _files(template: Path) -> list[str]:
    with sqlite3.connect(template) as database:
        files = [path for (path,) in database.execute("SELECT path FROM file ORDER BY path")]
    database.close()
    return files


def _lines(template: Path) -> dict[str, bytes]:
    """The files of each context as they stand in a record."""
    found: dict[str, dict[str, str]] = {}
    with sqlite3.connect(template) as database:
        rows = database.execute(
            "SELECT context, path, numbits FROM line_bits JOIN context ON context.id = context_id"
            " JOIN file ON file.id = file_id ORDER BY context, path"
        )
        for context, path, numbits in rows:
            found.setdefault(context, {})[path] = numbits.hex()
    database.close()
    return {context: json.dumps(files, separators=(",", ":")).encode() for context, files in found.items()}


def _boot(role: str, pid: int) -> dict[str, object]:
    return {
        "t": "boot",
        "version": 1,
        "process": {"host": HOST, "pid": pid, "start": 1},
        "ppid": 1,
        "role": role,
        "program": "playtrace-agent 0.1.0, CPython 3.12.1, native",
        "granularity": "request",
    }


def _record(record: dict[str, object]) -> bytes:
    return _frame(json.dumps({"at": BEGUN, **record}, separators=(",", ":")).encode())


def _frame(text: bytes) -> bytes:
    """Length and checksum, the record, a line break: `crates/ledger/src/frame.rs`."""
    return b"%08x %08x %b\n" % (len(text), zlib.crc32(text), text)
