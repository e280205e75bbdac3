"""The table, and `benches/results/source-parity.json`."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parity.results import row
from tests.source_parity.accepted import LIMIT, Difference
from tests.source_parity.compare import Tally

FILE = Path(__file__).resolve().parents[2] / "benches" / "results" / "source-parity.json"


@dataclass
class Outcome:
    """Everything that was compared."""

    tallies: list[Tally]
    accepted: dict[Difference, str]
    releases: dict[str, str]

    def not_accepted(self) -> list[Difference]:
        """Differences that nobody has explained."""
        return [d for tally in self.tallies for d in tally.differences if d.known() not in self.accepted]

    def not_needed(self) -> list[Difference]:
        """Accepted differences that were not seen."""
        seen = {difference.known() for tally in self.tallies for difference in tally.differences}
        return sorted(set(self.accepted) - seen)

    def statements(self) -> int:
        """Statements that were compared, each oracle's counted for itself."""
        return sum(tally.statements for tally in self.tallies)

    def accepted_per_100_000(self) -> float:
        """How many accepted differences there are, by what was compared."""
        return len(self.accepted) * 100_000 / max(self.statements(), 1)

    def failures(self, partial: bool = False) -> list[str]:
        """Say what is wrong; nothing if all is well. A partial run can't tell which entries are stale."""
        wrong = [f"not accepted: {difference}" for difference in self.not_accepted()]
        if not partial:
            wrong += [f"accepted, but no longer seen: {difference}" for difference in self.not_needed()]
        if self.accepted_per_100_000() > LIMIT:
            wrong.append(f"{self.accepted_per_100_000():.1f} accepted differences in 100,000; {LIMIT} are allowed")
        return wrong


def write(outcome: Outcome, file: Path = FILE, *, partial: bool = False) -> None:
    """Write the rows. What a partial run did not compare keeps the rows that it had: all of it takes many hours."""
    known = json.loads(file.read_text(encoding="utf-8")) if partial and file.exists() else {"versions": {}, "rows": []}
    compared = {_name(tally): of_tally(tally, outcome) for tally in outcome.tallies}
    kept: dict[str, list[dict[str, Any]]] = {}
    for entry in known["rows"]:
        _, comma, name = entry["id"].partition(", ")
        if comma and name not in compared:
            kept.setdefault(name, []).append(entry)
    by_name = kept | compared
    rows = [entry for name in sorted(by_name, key=_order) for entry in by_name[name]]
    statements = sum(entry["value"] for entry in rows if str(entry["id"]).startswith("statements, "))
    unknown = sum(entry.get("not accepted", 0) for entry in rows)
    accepted = len(outcome.accepted) * 100_000 / max(statements, 1)
    # A partial run can't tell.
    stale = None if partial else len(outcome.not_needed())
    totals = [
        row("not accepted", unknown, "differences", 0, "lower"),
        row("accepted", round(accepted, 2), "in 100,000 statements", LIMIT, "lower"),
        row("statements", statements, "statements, each oracle's counted for itself", None, "higher"),
    ]
    if stale is not None:
        totals.insert(2, row("not needed", stale, "accepted differences that were not seen", 0, "lower"))
    oracles = {tally.oracle.described for tally in outcome.tallies} | set(known["versions"].get("oracles", ()))
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"oracles": sorted(oracles), **outcome.releases},
        "rows": [{**entry, "how": "make parity"} for entry in [*totals, *rows]],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(file)


def of_tally(tally: Tally, outcome: Outcome) -> list[dict[str, Any]]:
    """Return the rows of a package with an oracle."""
    name = _name(tally)
    unknown = sum(difference.known() not in outcome.accepted for difference in tally.differences)
    return [
        row(f"mismatches, {name}", len(tally.differences), "differences", 0, "lower") | {"not accepted": unknown},
        row(f"files, {name}", tally.files, "files", None, "higher"),
        row(f"statements, {name}", tally.statements, "statements", None, "higher"),
        row(f"symbols, {name}", tally.symbols, "definitions and lambdas", None, "higher"),
    ]


def _name(tally: Tally) -> str:
    return f"{tally.package}, Python {tally.oracle.python}, coverage.py {tally.oracle.coverage}"


def _order(name: str) -> tuple[str, str, str]:
    """By Python, then by coverage.py, then by package."""
    package, python, coverage = name.split(", ")
    return python, coverage, package
