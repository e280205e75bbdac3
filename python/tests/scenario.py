"""Reads what the agent wrote: shards with coverage.py, ledgers by their documented format."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import coverage
from coverage.numbits import numbits_to_nums

if TYPE_CHECKING:
    from pathlib import Path

Lines = dict[str, list[int]]


@dataclass
class Outcome:
    """A process that ended."""

    code: int
    out: str
    err: str
    wrote: Scenario


def opened_in(map_file: Path) -> list[bytes]:
    """Return the beginnings of units in a memory map, as lines of the ledger; none if there is no map."""
    raw = map_file.read_bytes() if map_file.exists() else b""
    lines, at, end = [], 16, 16 + int.from_bytes(raw[8:16], "little")
    while at + 8 <= end <= len(raw):
        word, at = int.from_bytes(raw[at : at + 8], "little"), at + 8
        length = 0 if word & 3 == 1 else word >> 32
        if word & 0x3FF == 2 << 2:
            lines.append(raw[at : at + length])
        at += (length + 7) // 8 * 8
    return lines


class Scenario:
    """The coverage directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def shards(self, slug: str = "") -> list[Path]:
        """Return the shards, of one profile or of all."""
        return sorted(self.directory.glob(f"{slug or '*'}.coverage.*"))

    def contexts(self) -> dict[str, Lines]:
        """Return every (context, file, lines) of all shards, read by coverage.py."""
        found: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for shard in self.shards():
            data = coverage.CoverageData(str(shard))
            data.read()
            for context in data.measured_contexts():
                data.set_query_context(context)
                for file in data.measured_files():
                    lines = data.lines(file)
                    if lines:
                        found[context][file].update(lines)
            data.close(force=True)
        return {
            context: {file: sorted(lines) for file, lines in sorted(files.items())} for context, files in found.items()
        }

    def lines(self, slug: str, file: str) -> list[int]:
        """Return the lines of a file that a profile executed."""
        return self.contexts().get(f"profile:{slug}", {}).get(file, [])

    def records(self, slug: str, run: str = "_") -> list[dict[str, Any]]:
        """Return a run's ledger records of all processes, in order of time; each must be whole."""
        records = []
        for path in (self.directory / ".playtrace" / slug / run).glob("*.ledger"):
            opened = opened_in(path.with_suffix(".lines"))
            lines = path.read_bytes().splitlines()
            for line in [*lines, *(line for line in opened if line not in lines)]:
                length, checksum, text = line.split(b" ", 2)
                assert int(length, 16) == len(text)
                assert int(checksum, 16) == zlib.crc32(text)
                records.append({**json.loads(text), "file": path.name})
        return sorted(records, key=lambda record: record["at"])

    def of_kind(self, slug: str, kind: str, run: str = "_") -> list[dict[str, Any]]:
        """Return a run's records of one kind."""
        return [record for record in self.records(slug, run) if record["t"] == kind]

    def ledger_lines(self, slug: str, run: str = "_") -> dict[str, Lines]:
        """Return the lines that the ledger knows of, by context and file."""
        found: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for record in self.of_kind(slug, "closed", run):
            for context, files in record.get("new", {}).items():
                for file, bits in files.items():
                    found[context][file].update(numbits_to_nums(bytes.fromhex(bits)))
        return {context: {file: sorted(n) for file, n in files.items()} for context, files in found.items()}

    def unclosed(self, slug: str, run: str = "_") -> list[dict[str, Any]]:
        """Return the units that were opened and not closed."""
        closed = {(record["file"], record["unit"]) for record in self.of_kind(slug, "closed", run)}
        return [record for record in self.of_kind(slug, "open", run) if (record["file"], record["unit"]) not in closed]
