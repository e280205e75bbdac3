"""The table, and `benches/results/source-parity.json`."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

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


def write(outcome: Outcome, file: Path = FILE) -> None:
    """Write the rows."""
    how = "make parity"
    rows = [
        row("not accepted", len(outcome.not_accepted()), "differences", 0, "lower"),
        row("accepted", round(outcome.accepted_per_100_000(), 2), "in 100,000 statements", LIMIT, "lower"),
        row("not needed", len(outcome.not_needed()), "accepted differences that were not seen", 0, "lower"),
        row("statements", outcome.statements(), "statements, each oracle's counted for itself", None, "higher"),
    ]
    for tally in outcome.tallies:
        name = f"{tally.package}, Python {tally.oracle.python}, coverage.py {tally.oracle.coverage}"
        rows.append(row(f"mismatches, {name}", len(tally.differences), "differences", 0, "lower"))
        rows.append(row(f"files, {name}", tally.files, "files", None, "higher"))
        rows.append(row(f"statements, {name}", tally.statements, "statements", None, "higher"))
        rows.append(row(f"symbols, {name}", tally.symbols, "definitions and lambdas", None, "higher"))
    described = sorted({tally.oracle.described for tally in outcome.tallies})
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": {"oracles": described, **outcome.releases},
        "rows": [{**entry, "how": how} for entry in rows],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
