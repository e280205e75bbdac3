"""Verdicts of the demo's profiles, one after the other, and a profile twice. `test_demo.py` has them at once."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.conftest import Run
from tests.oracle import surroundings
from tests.oracle.run import Lines
from tests.support import COLD_ONLY_FILE, contexts_of, only_cold_differs, playtrace, profile_only

from stack import Stack  # isort: skip

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(COLD_ONLY_FILE.read_text(encoding="utf-8"))["profiles"]


def test_the_demo_expects_something_of_every_profile() -> None:
    assert sorted(EXPECTED) == surroundings.slugs()


@pytest.mark.parametrize("slug", surroundings.slugs())
def test_the_verdict_is_what_the_demo_expects(slug: str, cold: dict[str, Run]) -> None:
    run, expected = cold[slug], EXPECTED[slug]
    assert run.verdict.status == expected["verdict"], run.verdict.reasons
    if expected["verdict"] == "complete":
        run.ended.expect(0)
        assert run.verdict.document["reasons"] == []
    else:
        run.ended.expect(1)
        assert expected["reason_contains"] in run.verdict.reasons
        assert expected["reason_contains"] in run.ended.text


def test_a_profile_replayed_twice_has_the_same_lines_twice(stack: Stack, cold_only: list[tuple[str, range]]) -> None:
    slug = "us-small-wbt-daymet-rap-wepp"
    seen: list[dict[str, Lines]] = []
    for _ in range(2):
        playtrace(stack, "play", slug, "--trace-code").expect(0)
        seen.append(contexts_of(stack, slug))
    only_cold_differs(profile_only(seen[0]), profile_only(seen[1]), cold_only)
    assert sum(len(lines) for lines in seen[1][f"profile:{slug}"].values()) > 500


def test_the_readme_names_what_only_a_cold_run_executes() -> None:
    expected = tomllib.loads(COLD_ONLY_FILE.read_text(encoding="utf-8"))
    said = (surroundings.DEMO / "README.md").read_text(encoding="utf-8")
    for name in expected["cold_only"]["functions"]:
        assert name in said or name.removeprefix("weppdemo.") in said, name
