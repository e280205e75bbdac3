"""Differences of reports that are known and explained: `accepted.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.export_parity.cases import Case
from tests.source_parity import accepted

FILE = Path(__file__).with_name("accepted.toml")


def leave_out(report: Any, package: str, python: str, case: Case) -> list[str]:
    """Take out of our pages the lines that coverage.py's are known not to have; says which of them are not there."""
    missing = []
    for known in accepted.read(FILE):
        if (known.package, known.python, known.what) == (package, python, case.name):
            page = report.get(f"page of {known.file}", [])
            kept = [line for line in page if line[0] != known.line]
            if len(kept) == len(page):
                missing.append(f"{known}: accepted, and no difference")
            page[:] = kept
    return missing
