"""What shows that the comparison can fail: data that is tampered with, and agents with one thing wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from coverage.numbits import nums_to_numbits

from tests.kills.scenarios import SCRIPT, Scenario, Tamper
from tests.stress.mutations import Edit, Fault

_FLUSH = "crates/agent/src/run/flush.rs"
_UNFLUSHED = "crates/agent/src/unflushed.rs"


def delete_maps(directory: Path) -> None:
    """Take the maps away, as if the agent had none."""
    for path in directory.glob(".playtrace/*/*/*.lines"):
        path.unlink()


def cut_shards(directory: Path) -> None:
    """Cut every shard in half."""
    for path in directory.glob("*.coverage.*x"):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)


def add_lines(directory: Path) -> None:
    """Give every shard lines that nobody executed."""
    for path in directory.glob("*.coverage.*x"):
        db = sqlite3.connect(path)
        with db:
            db.execute("update line_bits set numbits = ?", (nums_to_numbits(range(2, 5_000)),))
        db.close()


def forget_units(directory: Path) -> None:
    """Leave of each ledger of a run the first record: which work was begun is not known then."""
    for path in directory.glob(".playtrace/[!.]*/*/*.ledger"):
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


# Whose data is tampered with: nearly each of its kills cuts some work.
CUT = replace(SCRIPT, name="script-cut", moments=("within",))
TAMPERING: Mapping[str, Tamper] = {
    "maps-deleted": delete_maps,
    "shards-cut": cut_shards,
    "lines-added": add_lines,
    "units-forgotten": forget_units,
}


@dataclass(frozen=True)
class Mutation(Fault):
    """An agent with something wrong, and how many kills of which scenario show it."""

    scenario: Scenario
    kills: int


MUTATIONS = (
    # The map is emptied before what it holds is on disk.
    Mutation(
        "forgotten-before-written",
        (
            Edit(
                _FLUSH,
                "let new = self.labelled(place, sources, fresh);",
                "if let Some(map) = &mut self.unflushed { map.clear(); } "
                "let new = self.labelled(place, sources, fresh);",
            ),
        ),
        replace(SCRIPT, name="script-flush", moments=("flush",)),
        kills=40,
    ),
    # A full map does not grow.
    Mutation(
        "no-growth",
        (Edit(_UNFLUSHED, "if needed > self.map.len() && !self.grow(end, needed) {", "if needed > self.map.len() {"),),
        replace(SCRIPT, name="script-growth", moments=("within", "growth")),
        kills=15,
    ),
)
