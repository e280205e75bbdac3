"""The results: a table for people, and `benches/results/kills.json`."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.kills import campaign
from tests.kills.campaign import Outcome
from tests.stress import results as stress
from tests.stress.results import Row

table = stress.table


def of_kills(outcomes: Sequence[Outcome], planned: int) -> list[Row]:
    """The rows of the kills: how many there were, and what was lost, wrong and unreadable; then by scenario."""
    whole = campaign.total(outcomes)
    of = {"cut": whole.cut, "with_lines_only_in_a_map": whole.saved, "journals_to_roll_back": whole.hot}
    rows = [
        Row("kills", whole.kills, "kills", planned, "higher", of),
        Row("lost", whole.lost, "lines", 0, "lower", {"lines_only_in_a_map": whole.saved_lines}),
        Row("wrong", whole.wrong, "lines and verdicts", 0, "lower", {}),
        Row("unreadable", whole.unreadable, "shards", 0, "lower", {}),
    ]
    for outcome in outcomes:
        counts = outcome.counts
        faults = counts.lost + counts.wrong + counts.unreadable
        of = {"kills": counts.kills, "cut": counts.cut, "with_lines_only_in_a_map": counts.saved}
        rows.append(Row(outcome.scenario.name, faults, "lost, wrong, unreadable", 0, "lower", of))
    return rows


def of_fault(name: str, outcomes: Sequence[Outcome]) -> Row:
    """The row of a fault: it must be seen."""
    whole = campaign.total(outcomes)
    of = {"kills": whole.kills, "lost": whole.lost, "wrong": whole.wrong, "unreadable": whole.unreadable}
    faults = whole.lost + whole.wrong + whole.unreadable
    return Row(f"fault {name}", faults, "lost, wrong, unreadable", 1, "higher", of)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the results file."""
    stress.write(path, [replace(row, of={**row.of}) for row in rows], platform.python_version())
