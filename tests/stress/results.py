"""The results: a table for people, and `benches/results/stress.json`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.stress import catalog
from tests.stress.scenarios import Outcome

_LINES = "lines wrong or lost"
# At least so many of a scenario's requests overlap another one.
OVERLAPPING = 0.25


@dataclass(frozen=True)
class Row:
    """One measured value and what it should be."""

    id: str
    value: float
    unit: str
    target: float
    better: str
    # What it was computed from.
    of: Mapping[str, Any]
    # Why there is no value, where there is none.
    not_run: str = ""
    # Whether nobody can be expected to run it.
    excused: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met; what was not run meets none."""
        if self.not_run:
            return False
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def document(self) -> dict[str, Any]:
        """The row as `benches/results/*.json` has it."""
        return {
            "id": self.id,
            "value": None if self.not_run else self.value,
            "unit": self.unit,
            "target": self.target,
            "better": self.better,
            "met": "not run" if self.not_run else self.met,
            "peers": {},
            **self.of,
            **({"not_run": self.not_run} if self.not_run else {}),
            "how": "make stress",
        }


def of_scenario(outcome: Outcome, planned: int) -> list[Row]:
    """The rows of a scenario: lines in the wrong place or in none, verdicts, requests, and how many overlapped."""
    name = f"{outcome.scenario.name} {outcome.python}"
    counts = _counts(outcome)
    share = round(outcome.counts.overlapping / outcome.counts.requests, 3)
    rows = [
        Row(name, outcome.counts.wrong + outcome.counts.lost, _LINES, 0, "lower", counts),
        Row(f"{name} requests", outcome.counts.requests, "requests", planned, "higher", {}),
        Row(f"{name} overlapping", share, "share of requests", OVERLAPPING, "higher", {}),
    ]
    if outcome.verdicts is not None:
        of = {"verdicts": dict(sorted(outcome.verdicts.counts.items())), "runs": outcome.verdicts.runs}
        rows.append(Row(f"{name} verdicts", outcome.verdicts.incomplete, "verdicts not complete", 0, "lower", of))
    return rows


def of_what_was_not_run(name: str, why: str, *, excused: bool = False) -> Row:
    """The row of a scenario, or of a mutation, that could not be run."""
    return Row(name, 0, _LINES, 0, "lower", {}, why, excused)


def of_mutation(name: str, mutant: Outcome, control: Outcome, says: str = "") -> list[Row]:
    """The rows of a mutation: the mutant must be caught, the same load on the right agent must be clean.

    A mutant is caught by its lines or, where its verdicts must say something, by that.
    """
    wrong = {True: mutant, False: control}
    caught, clean = (wrong[which].counts.wrong + wrong[which].counts.lost for which in (True, False))
    unit = _LINES
    if says:
        caught, unit = (len(told(mutant, says)), "verdicts that say so")
    rows = [
        Row(f"mutation {name} {mutant.python}", caught, unit, 1, "higher", _counts(mutant) | _say(says)),
        Row(f"control of {name} {control.python}", clean, _LINES, 0, "lower", _counts(control)),
    ]
    if control.verdicts is not None:
        incomplete = control.verdicts.incomplete
        rows.append(
            Row(f"control of {name} {control.python} verdicts", incomplete, "verdicts not complete", 0, "lower", {})
        )
    return rows


def told(outcome: Outcome, says: str) -> list[str]:
    """The reasons of verdicts that hold this text."""
    return [reason for reason in outcome.verdicts.reasons if says in reason] if outcome.verdicts else []


def _say(says: str) -> dict[str, str]:
    return {"says": says} if says else {}


def _counts(outcome: Outcome) -> dict[str, Any]:
    counts = outcome.counts
    return {
        "requests": counts.requests,
        "overlapping": counts.overlapping,
        "overlapping_in_one_process": outcome.within,
        "runs_of_one_request": counts.alone,
        "wrong": counts.wrong,
        "lost": counts.lost,
        "seconds": round(outcome.seconds, 1),
    }


def write(path: Path, rows: Sequence[Row], python: str, *, add: bool = False) -> None:
    """Write the results file; `add` leaves what it says of other things than these."""
    always = ("playtrace-agent", "coverage", "flask", "gunicorn", "rq", "redis")
    packages = sorted({*always, *(name for scenario in catalog.ALL for name in scenario.needs)})
    document: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "versions": {"python": [python], **{name: _version(name) for name in packages}},
        "rows": [row.document() for row in rows],
    }
    if add and path.is_file():
        ours, before = {row.id for row in rows}, json.loads(path.read_text(encoding="utf-8"))
        document["rows"] = [row for row in before["rows"] if row["id"] not in ours] + document["rows"]
        document["versions"]["python"] = sorted({*before["versions"]["python"], python})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def table(rows: Sequence[Row]) -> str:
    """The same for people."""
    lines = [("", "value", "target", "", "unit")]
    for row in rows:
        sign = "<=" if row.better == "lower" else ">="
        met = "NOT RUN" if row.not_run else "met" if row.met else "NOT MET"
        value, unit = ("-", row.not_run) if row.not_run else (f"{row.value:g}", row.unit)
        lines.append((row.id, value, f"{sign} {row.target:g}", met, unit))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    texts = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(text.rstrip() for text in texts)
