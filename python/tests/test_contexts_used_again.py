"""The number of a context that is gone is soon another run's, and what was kept for the first is not the second's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import coverage
import pytest
from judged import CLIENT, judge

if TYPE_CHECKING:
    from conftest import Workspace

PARTS = "\n".join(f"def part{number}():\n    return {number}\n\n" for number in range(60))
BEGIN = """
import os, signal, parts
from driver_client import Client
from pathlib import Path
data = Path(os.environ["PROFILE_COVERAGE_DIR"])


def app(environ, start_response):
    start_response("200 OK", [])
    for part in environ["PATH_INFO"].strip("/").split("/"):
        getattr(parts, part)() if part != "kill" else os.kill(os.getpid(), signal.SIGKILL)
    return []


client = Client(app)
"""


def line(number: int) -> int:
    """Return the one line inside a part."""
    return 4 * number + 2


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    workspace.write("parts.py", PARTS)
    workspace.write("driver_client.py", CLIENT)
    return workspace


def merged(work: Workspace, slug: str) -> dict[str, list[int]]:
    """Return a run's merged lines by context."""
    data = coverage.CoverageData(str(work.data / f"{slug}.coverage"))
    data.read()
    found = {}
    for context in data.measured_contexts():
        data.set_query_context(context)
        found[context] = sorted(data.lines("parts.py") or [])
    data.close(force=True)
    return found


def entered(work: Workspace, slug: str) -> dict[str, list[int]]:
    """Return the first lines of what each step of a run entered."""
    document: dict[str, Any] = json.loads((work.data / f"{slug}.steps.json").read_text())
    return {step["scope"]: step["functions"].get("parts.py", []) for step in document["steps"]}


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
def test_a_run_that_was_switched_off_gets_nothing_of_the_next(work: Workspace, granularity: str) -> None:
    """What the first run's last request did stays in its memory map: the shard could not be written."""
    outcome = work.run(
        BEGIN
        + """
client.get("/part1", "a")
client.get("/part2", "b")
[shard] = data.glob("a.coverage.*")
os.truncate(shard, 0)
client.get("/part3", "a")
assert client.statuses[-1].startswith("on")
client.get("/part4/kill", "b")
""",
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
        check=False,
    )
    assert outcome.code == -9, outcome.err
    judge(work, None, slug="a")
    judge(work, None, slug="b")
    found = merged(work, "a") | merged(work, "b")
    if granularity == "request":
        assert found == {
            "profile:a:1": [line(1)],
            "profile:b:2": [line(2)],
            "profile:a:3": [line(3)],
            "profile:b:4": [line(4)],
        }
        return
    assert found == {"profile:a": [line(1), line(3)], "profile:b": [line(2), line(4)]}
    if granularity == "steps":
        assert entered(work, "a") == {"1": [line(1) - 1], "3": [line(3) - 1]}
        assert entered(work, "b") == {"2": [line(2) - 1], "4": [line(4) - 1]}


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
def test_runs_that_come_and_go_and_come_again(work: Workspace, granularity: str) -> None:
    """More runs than are kept: the first are let go of, later ones get their contexts' numbers, and all come back."""
    outcome = work.run(
        BEGIN
        + """
for number in range(60):
    client.get(f"/part{number}", f"p{number}")
for number in range(60):
    client.get(f"/part{number}/part{59 - number}", f"p{number}")
client.get("/part7/kill", "p20")
""",
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
        check=False,
    )
    assert outcome.code == -9, outcome.err
    for number in range(60):
        slug = f"p{number}"
        judge(work, None, slug=slug)
        steps = {
            str(number + 1): {number},
            str(number + 61): {number, 59 - number},
        }
        if number == 20:
            steps["121"] = {7}
        found = merged(work, slug)
        if granularity == "request":
            of = {f"profile:{slug}:{step}": sorted(map(line, parts)) for step, parts in steps.items()}
        else:
            of = {f"profile:{slug}": sorted({line(part) for parts in steps.values() for part in parts})}
        assert found == of
        if granularity == "steps":
            of = {step: sorted(line(part) - 1 for part in parts) for step, parts in steps.items()}
            assert entered(work, slug) == of
