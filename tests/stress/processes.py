"""The scenario `processes`: a real server whose requests do their work in other processes, in every way that there is.

The load is that of the agent's own tests (`python/tests/process_load.py`): each request has a function that nobody else
calls, and the verdict of each profile must be *complete*.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.oracle import surroundings
from tests.stress import check, load
from tests.stress.scenarios import Outcome

if TYPE_CHECKING:
    from tests.stress.catalog import Scenario

# Requests that show a fault.
FEW = 72
# Eight profiles and nobody.
_SHARES = 9


def mutations() -> list[str]:
    """Return the names of the agents with one fault that this load must see."""
    return sorted(_agents("process_load").MUTATIONS)


def run(out: Path, scenario: Scenario, version: str, count: int, mutation: str = "") -> Outcome:
    """Run the load with at least so many requests.

    Raises:
        LoadError: The app did not answer as it must, or a verdict is not *complete*.
    """
    began = time.monotonic()
    process_load, asgi_load = _agents("process_load"), _agents("asgi_load")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    workspace = _agents("conftest").Workspace(out)
    each = -(-count // _SHARES)
    try:
        found, answers = process_load.load(workspace, each, mutation, workers=2)
        if not mutation:
            asgi_load.judge_all(workspace, each)
    except AssertionError as error:
        raise load.LoadError(f"{scenario.name}: {error}") from error
    records = [
        check.Record(number, answer.pid, round(answer.began * 1e9), round(answer.ended * 1e9), answer.said)
        for number, answer in enumerate(answers)
    ]
    counts = check.Counts(
        len(answers),
        check.overlapping(records),
        len(found.wrong),
        len(found.lost),
        examples=[*(f"wrong: {what}" for what in found.wrong), *(f"lost: {what}" for what in found.lost)][:40],
    )
    shutil.rmtree(out)
    return Outcome(scenario, version, counts, check.within_processes(records), time.monotonic() - began)


def _agents(name: str) -> Any:
    """Import a module of the agent's tests, which import each other by their bare names."""
    place = str(surroundings.REPOSITORY / "python" / "tests")
    if place not in sys.path:
        sys.path.append(place)
    return importlib.import_module(name)
