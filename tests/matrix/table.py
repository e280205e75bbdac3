"""The table, which lies with the tests that it names, and the Pythons that they run on."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.oracle.surroundings import REPOSITORY

if TYPE_CHECKING:
    from proofs import GROUPS, PYTHONS, ROWS, Row, matches, name_of
else:
    _place = REPOSITORY / "python" / "tests" / "proofs.py"
    _spec = importlib.util.spec_from_file_location("proofs", _place)
    _proofs = importlib.util.module_from_spec(_spec)
    sys.modules["proofs"] = _proofs
    _spec.loader.exec_module(_proofs)
    GROUPS, PYTHONS, ROWS, Row = _proofs.GROUPS, _proofs.PYTHONS, _proofs.ROWS, _proofs.Row
    matches, name_of = _proofs.matches, _proofs.name_of

__all__ = ["GROUPS", "PYTHONS", "ROWS", "Row", "find", "matches", "name_of", "pairs"]


def pairs() -> Iterator[tuple[Row, str]]:
    """Return each line with each Python, in the page's order."""
    return ((row, version) for row in ROWS for version in PYTHONS)


def find(version: str, environment: str = "") -> Path | None:
    """Return the Python of this version that has what the tests need: `.venv`, or an environment in `.tools/`."""
    places = [REPOSITORY / ".tools" / environment] if environment else [REPOSITORY / ".venv"]
    if not environment:
        places += sorted((REPOSITORY / ".tools").glob("*python*"))
    for place in places:
        python = place / "bin" / "python"
        if python.exists() and _version(python) == version:
            return python
    return None


def _version(python: Path) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip()
