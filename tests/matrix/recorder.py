"""A plugin of pytest, in whichever environment the tests run: runs what is wanted, and writes down what came of it.

Loaded with `-p`; files and names come by the variables below.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from tests.matrix.table import matches, name_of

RESULTS = "PLAYTRACE_TEST_MATRIX"
#: The distributions whose versions are asked for, with spaces between.
DISTRIBUTIONS = "PLAYTRACE_TEST_MATRIX_DISTRIBUTIONS"
#: A file with the tests that are wanted, as the table has them; one in each line.
CHOSEN = "PLAYTRACE_TEST_MATRIX_CHOSEN"

_found: dict[str, list[str]] = {}


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what nobody wants."""
    wanted = Path(os.environ[CHOSEN]).read_text(encoding="utf-8").splitlines()
    mine = [item for item in items if any(matches(one, name_of(item.nodeid)) for one in wanted)]
    config.hook.pytest_deselected(items=[item for item in items if item not in mine])
    items[:] = mine


def pytest_runtest_logreport(report: Any) -> None:
    """Keep what is worst of a test's parts, and why it was skipped."""
    before = _found.setdefault(name_of(report.nodeid), ["passed", ""])
    if report.failed:
        before[:] = ["failed", report.longreprtext.strip().splitlines()[-1]]
    elif report.skipped and before[0] == "passed":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        before[:] = ["skipped", reason.removeprefix("Skipped: ")]


def pytest_sessionfinish() -> None:
    """Write it down."""
    versions = {name: _version(name) for name in os.environ[DISTRIBUTIONS].split()}
    document = {"python": python_version(), "versions": versions, "tests": _found}
    Path(os.environ[RESULTS]).write_text(json.dumps(document), encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
