"""The table, and `benches/results/parity.json`."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

from tests.parity.accepted import LIMIT, Difference
from tests.parity.compare import Apart, Tally

FILE = Path(__file__).resolve().parents[2] / "benches" / "results" / "parity.json"
HOW = "make parity"
#: Distinct lines, under each Python.
TARGET = 100_000


@dataclass
class Outcome:
    """Everything that was measured."""

    tallies: list[Tally]
    apart: dict[str, Apart]
    accepted: dict[Difference, str]
    not_measured: list[str]
    versions: dict[str, str]
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)

    def differences(self) -> set[Difference]:
        """All differences, accepted or not."""
        return {difference for tally in self.tallies for difference in tally.differences}

    def not_accepted(self) -> list[Difference]:
        """Differences that nobody has explained."""
        return sorted(self.differences() - set(self.accepted))

    def not_needed(self) -> list[Difference]:
        """Accepted differences that were not seen."""
        return sorted(set(self.accepted) - self.differences())

    def unstable(self) -> set[tuple[str, str, str, int]]:
        """Python, package, file and line where two runs of ctrace alone differ; these don't count."""
        found: set[tuple[str, str, str, int]] = set()
        for name, apart in self.apart.items():
            python, package, *_ = name.split()
            found.update((python, package, file, line) for file, line in apart.unstable)
        return found

    def lines_of(self, version: str) -> int:
        """Distinct lines of all packages under one Python that both watchers have and that are the same each time."""
        tallies = [tally for tally in self.tallies if tally.python == version]
        lines = {(version, tally.package, *line) for tally in tallies for line in tally.lines}
        return len(lines - self.unstable())

    def lines(self) -> int:
        """The same, under the Python that has the fewest."""
        return min((self.lines_of(version) for version in {tally.python for tally in self.tallies}), default=0)

    def compared(self) -> int:
        """Lines of all Pythons, each counted for itself."""
        return sum(len(tally.lines) for tally in self.tallies)

    def accepted_per_100_000(self) -> float:
        """How many accepted differences there are, by what was compared."""
        return len(self.accepted) * 100_000 / max(self.compared(), 1)

    def apart_differ(self) -> int:
        """Stable lines that one watcher alone and both together don't agree on."""
        return sum(len(apart.differ) for apart in self.apart.values())

    def failures(self) -> list[str]:
        """Say what is wrong; nothing if all is well."""
        wrong = [f"not accepted: {difference}" for difference in self.not_accepted()]
        wrong += [f"accepted, but no longer seen: {difference}" for difference in self.not_needed()]
        wrong += [
            f"apart: {name}: {file}:{line}: {who}"
            for name, apart in sorted(self.apart.items())
            for file, line, who in apart.differ
        ]
        wrong += [f"not measured: {what}" for what in self.not_measured]
        if self.accepted_per_100_000() > LIMIT:
            wrong.append(
                f"{self.accepted_per_100_000():.1f} accepted differences in 100,000 lines; {LIMIT} are allowed"
            )
        if self.lines() < TARGET:
            wrong.append(f"{self.lines():,} distinct lines; {TARGET:,} are wanted under each Python")
        return wrong


def table(outcome: Outcome) -> str:
    """Say what was compared, for people."""
    rows = [("package", "Python", "tests", "function-body lines", "differences", "import-time lines", "differ", "s")]
    for tally in outcome.tallies:
        rows.append(
            (
                tally.package,
                tally.python,
                f"{tally.tests:,}",
                f"{len(tally.lines):,}",
                f"{len(tally.differences):,}",
                f"{len(tally.others):,}",
                f"{len(tally.others_differ):,}",
                f"{tally.seconds:.0f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines += [
        "",
        *(
            f"distinct function-body lines, the same with both, on {version}: {outcome.lines_of(version):,}"
            for version in sorted({tally.python for tally in outcome.tallies})
        ),
        f"in total, each Python's counted for itself: {outcome.compared():,}",
        f"differences: {len(outcome.differences())}, of which accepted: {len(outcome.accepted)} "
        f"({outcome.accepted_per_100_000():.1f} in 100,000 lines; {LIMIT} are allowed)",
    ]
    for name, apart in sorted(outcome.apart.items()):
        lines.append(
            f"apart: {name}: {apart.stable:,} lines, {len(apart.unstable)} unstable, {len(apart.differ)} that differ"
        )
        lines += [f"  unstable: {file}:{line}" for file, line in apart.unstable]
    for tally in outcome.tallies:
        lines += [
            f"import-time line, {tally.package} {tally.python}: {file}:{line}: only {who} has it"
            for file, line, who in sorted(tally.others_differ)
        ]
    return "\n".join(lines)


def write(outcome: Outcome, file: Path = FILE) -> None:
    """Write the rows."""
    rows: list[dict[str, object]] = [
        row("lines", outcome.lines(), "distinct function-body lines, the Python that has fewest", TARGET, "higher"),
        row("differences", len(outcome.not_accepted()), "lines not accepted", 0, "lower"),
        row(
            "accepted",
            round(outcome.accepted_per_100_000(), 2),
            "accepted differences in 100,000 lines",
            LIMIT,
            "lower",
        ),
        row("not-needed", len(outcome.not_needed()), "accepted differences that were not seen", 0, "lower"),
        row("apart", outcome.apart_differ(), "lines that differ between watching alone and together", 0, "lower"),
        row("unstable", len(outcome.unstable()), "lines that differ between two runs of ctrace", None, "lower"),
    ]
    for version in sorted({tally.python for tally in outcome.tallies}):
        rows.append(
            row(f"lines {version}", outcome.lines_of(version), "distinct function-body lines", TARGET, "higher")
        )
    rows.append(row("lines in total", outcome.compared(), "function-body lines, all Pythons", None, "higher"))
    for tally in outcome.tallies:
        name = f"{tally.package} {tally.python}"
        rows.append(row(f"lines {name}", len(tally.lines), "function-body lines", None, "higher"))
        rows.append(row(f"differences {name}", len(tally.differences), "function-body lines", None, "lower"))
    document = {
        "machine": {"cpus": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "versions": outcome.versions,
        "rows": rows,
        "left_out": outcome.left_out,
        "unstable": [list(line) for line in sorted(outcome.unstable())],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def row(name: str, value: float, unit: str, target: float | None, better: str) -> dict[str, object]:
    """One row of the result file; a row without a target has nothing to meet."""
    met = None
    if target is not None:
        met = value >= target if better == "higher" else value <= target
    return {
        "id": name,
        "value": value,
        "unit": unit,
        "target": target,
        "better": better,
        "met": met,
        "peers": {},
        "how": HOW,
    }
