"""The generated workflows, run against the demo's stack. `make nights` does the same with the demo's own profiles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import little_profiles
from tests.nights.scenario import Cast, Nights, repository, two_nights
from tests.oracle import surroundings

from stack import Stack  # isort: skip

PARTS = ("fine", "fails", "flaky", "missing", "killed")
WANTED = [("GET", "/legacy/"), ("GET", "/query/project")]

ENTRY = """
- workflow_slug: {name}
  title: {name}
  playback_type: run
  profile_slug: night-{name}
  schedule_pt: 03:10
  artifact_name: {name}-log
  artifact_path: telemetry/{name}.log
  description: A profile of two pages
"""

FLOW = """
- workflow_slug: {kind}-palouse
  title: {kind}
  playback_type: {kind}
  profile_slug: legacy-palouse
  playback_options: [--timeout, "100"]
  schedule_pt: 03:10
  artifact_name: {kind}-log
  artifact_path: telemetry/{kind}.log
  description: A flow on a snapshot
"""
FLOWS = ("fork", "archive")


@pytest.fixture(scope="module")
def nights(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """Five little profiles in the stack, and a repository that replays them every night."""
    root = tmp_path_factory.mktemp("nights")
    for name in PARTS:
        little_profiles.cut(stack.profiles_root / f"night-{name}", WANTED)
    listed = "".join(ENTRY.format(name=name) for name in PARTS) + "".join(FLOW.format(kind=kind) for kind in FLOWS)
    yield Nights.over(stack, repository(root / "repository", listed, surroundings.program()), root / "work")
    # The stack is everybody's, and a batch of theirs takes all profiles.
    for name in PARTS:
        shutil.rmtree(stack.profiles_root / f"night-{name}")


def test_a_good_night_and_one_with_a_failing_a_flaky_a_missing_and_a_killed_profile(nights: Nights) -> None:
    logs = {name: f"telemetry/{name}.log" for name in PARTS}
    names = {name: f"{name}-log" for name in PARTS}
    profiles = {name: f"night-{name}" for name in PARTS}
    flows: dict[str, tuple[str, str | None, int | None]] = {f"{kind}-palouse": ("passed", "fresh", 0) for kind in FLOWS}
    two_nights(nights, Cast(*PARTS, logs=logs, log_names=names, profiles=profiles), also=flows)


def test_without_the_toggle_nothing_is_traced_and_full_reports_are_made_when_asked_for(nights: Nights) -> None:
    usual = dict(nights.runner.variables)
    try:
        nights.runner.variables["ENABLE_PROFILE_COVERAGE"] = ""
        untraced = nights.play("fine")
        nights.runner.variables.update(usual, UPLOAD_FULL_REPORTS="1")
        full = nights.play("fine")
        flow = nights.play("fork-palouse")
    finally:
        nights.runner.variables.clear()
        nights.runner.variables.update(usual)
    assert untraced.conclusion == "success", untraced.output
    kept = {path.name for path in nights.store.artifact(untraced.run, "playback-fine").iterdir()}
    assert kept == {"job.json", "summary.md"}
    assert untraced.outcomes["Make the full report"] == "skipped"
    assert full.conclusion == "success", full.output
    # A flow's is made of its own data.
    assert flow.conclusion == "success", flow.output
    reports = nights.store.artifact(flow.run, "full-report-fork-palouse") / "reports"
    assert (reports / "legacy-palouse-fork" / "index.html").is_file()
    assert (nights.store.artifact(full.run, "full-report-fine") / "reports" / "night-fine" / "index.html").is_file()


def test_a_service_that_is_not_there_fails_the_job_in_time(nights: Nights, tmp_path: Path) -> None:
    usual = dict(nights.runner.variables)
    env = dict(nights.runner.environment)
    try:
        nights.runner.variables["PROFILE_PLAYBACK_URL"] = "http://127.0.0.1:9"
        nights.runner.environment = {**env, "PLAYTRACE_HEALTH_SECONDS": "1"}
        ended = nights.play("fine")
    finally:
        nights.runner.variables.update(usual)
        nights.runner.environment = env
    assert ended.conclusion == "failure"
    assert "http://127.0.0.1:9/health is not healthy" in ended.output
    assert ended.outcomes["Replay"] == "skipped"
    assert not nights.store.artifact(ended.run, "playback-fine").exists(), json.dumps(ended.outcomes)
