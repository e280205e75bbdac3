"""The results: a table for people, and `benches/results/stress.json`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.stress.scenarios import Outcome

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

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def document(self) -> dict[str, Any]:
        """The row as `benches/results/*.json` has it."""
        return {
            "id": self.id,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "better": self.better,
            "met": self.met,
            "peers": {},
            **self.of,
            "how": "make stress",
        }


def of_scenario(outcome: Outcome, planned: int) -> list[Row]:
    """The rows of a scenario: lines in the wrong place or in none, how many requests, how many overlapped."""
    name = f"{outcome.scenario.name} {outcome.python}"
    counts = _counts(outcome)
    share = round(outcome.counts.overlapping / outcome.counts.requests, 3)
    return [
        Row(name, outcome.counts.wrong + outcome.counts.lost, "lines wrong or lost", 0, "lower", counts),
        Row(f"{name} requests", outcome.counts.requests, "requests", planned, "higher", {}),
        Row(f"{name} overlapping", share, "share of requests", OVERLAPPING, "higher", {}),
    ]


def of_mutation(name: str, mutant: Outcome, control: Outcome) -> list[Row]:
    """The rows of a mutation: the mutant must be caught, the same load on the right agent must be clean."""
    wrong = {True: mutant, False: control}
    caught, clean = (wrong[which].counts.wrong + wrong[which].counts.lost for which in (True, False))
    return [
        Row(f"mutation {name} {mutant.python}", caught, "lines wrong or lost", 1, "higher", _counts(mutant)),
        Row(f"control of {name} {control.python}", clean, "lines wrong or lost", 0, "lower", _counts(control)),
    ]


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


def write(path: Path, rows: Sequence[Row], pythons: Sequence[str]) -> None:
    """Write the results file."""
    packages = ("playtrace-agent", "coverage", "flask", "gunicorn", "uvicorn", "rq", "celery", "redis")
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "versions": {"python": list(pythons), **{name: version(name) for name in packages}},
        "rows": [row.document() for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def table(rows: Sequence[Row]) -> str:
    """The same for people."""
    lines = [("", "value", "target", "", "unit")]
    for row in rows:
        sign = "<=" if row.better == "lower" else ">="
        lines.append((row.id, f"{row.value:g}", f"{sign} {row.target:g}", "met" if row.met else "NOT MET", row.unit))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    texts = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(text.rstrip() for text in texts)
