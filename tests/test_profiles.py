"""Verdicts of the demo's profiles; one after the other, at once, and twice."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.oracle import surroundings
from tests.oracle.run import Lines
from tests.support import COLD_ONLY_FILE, contexts_of, flat, playtrace, verdict_of, without

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


def only_cold_differs(one: dict[str, Lines], other: dict[str, Lines], cold_only: list[tuple[str, range]]) -> None:
    """Fail when two runs of a profile differ in a line that is not of a cold-only function."""
    left, right = flat(without(one, cold_only)), flat(without(other, cold_only))
    assert left == right, f"only one: {sorted(left - right)}, only other: {sorted(right - left)}"


def profile_only(contexts: dict[str, Lines]) -> dict[str, Lines]:
    """Without what imports ran: which profile is the first to import a module is chance."""
    return {context: lines for context, lines in contexts.items() if context != "import"}


def test_all_at_once_give_the_same_lines(
    stack: Stack, cold: dict[str, Run], cold_only: list[tuple[str, range]], tmp_path: Path
) -> None:
    slugs = surroundings.slugs()
    ended = playtrace(
        stack,
        *("run-profile-coverage-batch", "--jobs", "5", "--retries", "0", "--include", *slugs),
        *("--artifacts-dir", tmp_path / "artifacts", "--service-url", stack.service_url),
    )
    # single-storm fails, as it did when it was recorded.
    ended.expect(1)
    for slug in slugs:
        assert verdict_of(stack, slug).status == EXPECTED[slug]["verdict"], verdict_of(stack, slug).reasons
        together = contexts_of(stack, slug)
        only_cold_differs(profile_only(together), profile_only(cold[slug].contexts), cold_only)
        artifact = tmp_path / "artifacts" / f"{slug}.coverage"
        assert artifact.read_bytes() == (stack.coverage_dir / f"{slug}.coverage").read_bytes()
        assert not list(stack.coverage_dir.glob(f"{slug}.coverage.*")), "the batch deletes shards after a safe merge"


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
