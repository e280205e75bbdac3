"""The rows of the result: the file that house rules ask for, and the same as a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from .estimate import Estimate, Judgement, judge

#: The issue's table, in its order: what is measured, in which unit, and the target.
TARGETS: dict[str, tuple[str, float]] = {
    "off": ("ratio", 1.00),
    "never": ("ratio", 1.01),
    "idle": ("ratio", 1.02),
    "always": ("ratio", 1.02),
    "fixed": ("µs a request", 20.0),
    "cpu": ("ratio", 1.05),
    "cpu-request": ("ratio", 1.10),
    "flat-request": ("ratio", 2.5),
    "steps": ("ratio", 1.05),
    "neighbour": ("ratio", 1.10),
    "first": ("µs a code object", 2.0),
    "memory": ("MB", 16.0),
    "files": ("shards a profile and run", 4.0),
}


#: Rows that stand below one of the table and are judged by its target, but don't count for it.
_BESIDES = {"cpu-body": "cpu"}


def target_of(ident: str) -> tuple[str, float]:
    """Unit and target of a row or sub-row."""
    table = ident.partition(".")[0]
    return TARGETS[_BESIDES.get(table, table)]


@dataclass
class Row:
    """One line of the result. `value` is `None` where nothing could be measured; `note` says why."""

    id: str
    value: float | None
    unit: str
    target: float
    met: bool
    how: str
    peers: Mapping[str, float | None] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    control: tuple[float, float] | None = None
    note: str | None = None
    #: What the least recorder that is exact takes, in the same unit, and how far above that `value` is: 0.1 is a tenth.
    floor: float | None = None
    within: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        row: dict[str, Any] = {
            "id": self.id,
            "value": _round(self.value),
            "unit": self.unit,
            "target": self.target,
            "better": "lower",
            "met": self.met,
            "peers": {name: _round(value) for name, value in self.peers.items()},
            "how": self.how,
        }
        for name, pair in (("interval", self.interval), ("control", self.control)):
            if pair is not None:
                row[name] = [_round(bound) for bound in pair]
        if self.floor is not None:
            row["floor"], row["within"] = _round(self.floor), _round(self.within)
        if self.note is not None:
            row["note"] = self.note
        return row

    def above(self, floor: float) -> Self:
        """Say what the least recorder takes."""
        if self.value is not None and floor > 0:
            self.floor, self.within = floor, self.value / floor - 1
        return self


def row(
    ident: str,
    measured: Estimate,
    control: Estimate,
    how: str,
    peers: Mapping[str, float | None] | None = None,
    *,
    target: float | None = None,
    unit: str | None = None,
    null: float = 1.0,
) -> Row:
    """A row for paired measurements; target and unit are those of the table's row, unless said."""
    table_unit, table_target = target_of(ident)
    target = table_target if target is None else target
    verdict: Judgement = judge(measured, control, target, null)
    return Row(
        ident,
        measured.value,
        unit or table_unit,
        target,
        verdict.met,
        how,
        peers or {},
        (measured.low, measured.high),
        (control.low, control.high),
        verdict.note,
    )


def not_measured(ident: str, why: str, how: str) -> Row:
    """A row for what could not be measured."""
    unit, target = target_of(ident)
    return Row(ident, None, unit, target, False, how, note=f"not measured: {why}")


def worst(ident: str, rows: Sequence[Row]) -> Row:
    """The row of the table's own id: the worst of its sub-rows that have the table's target; met if all of them are."""
    unit, target = TARGETS[ident]
    chosen = [row for row in rows if row.target == target and row.unit == unit]
    how = f"the worst of {ident}.* at that target"
    missing = [row for row in chosen if row.value is None]
    if not chosen or missing:
        why = (missing[0].note or "").removeprefix("not measured: ") if missing else "no sub-row was measured"
        return not_measured(ident, why, how)
    found = max(chosen, key=lambda row: (row.interval or (0.0, row.value or 0.0))[1])
    notes = [row.note for row in rows if row.note is not None]
    # A sub-row that can't tell keeps the whole from being met, not from being missed.
    note = notes[0] if notes and all(row.met or row.note is not None for row in rows) else None
    met = all(row.met for row in rows)
    where = f"the worst is {found.id}"
    how = f"{how}; {where}"
    peers, interval, control = found.peers, found.interval, found.control
    return Row(ident, found.value, unit, target, met, how, peers, interval, control, note, found.floor, found.within)


def machine() -> dict[str, Any]:
    """Where it was measured."""
    model = ""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {"system": platform.platform(), "processor": model, "processors": os.cpu_count()}


def write(path: Path, rows: Sequence[Row], versions: Mapping[str, str], run: Mapping[str, Any]) -> None:
    """Write the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {**machine(), **run},
        "versions": dict(versions),
        "rows": [row.as_json() for row in rows],
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """The same for people."""
    lines = [("row", "value", "95 %", "A/A", "target", "met", "floor", "above it", "peers")]
    for line in rows:
        value = "not measured" if line.value is None else f"{line.value:.3f} {line.unit}"
        met = "yes" if line.met else "not measured" if line.note else "no"
        peers = ", ".join(f"{name} {value:.2f}" for name, value in line.peers.items() if value is not None)
        floor = "" if line.floor is None else f"{line.floor:.3g}"
        above = "" if line.within is None else f"{line.within:+.0%}"
        spans = (_span(line.interval), _span(line.control))
        lines.append((line.id, value, *spans, f"{line.target:g}", met, floor, above, peers))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"{line.id}: {line.note}" for line in rows if line.note and line.id in TARGETS]
    return "\n".join([*shown, *([""] if notes else []), *notes])


def _span(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.3f}..{pair[1]:.3f}"


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
