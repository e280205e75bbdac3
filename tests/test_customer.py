"""The customer's commands as they are written in the customer's documents, but for hosts and directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.oracle.run import read_contexts
from tests.support import Ended, contexts_of, coverage, environment, flat, run

from stack import Stack  # isort: skip

SLUG = "legacy-palouse"


def wctl(stack: Stack, *words: str | Path, cwd: Path) -> Ended:
    """Type `wctl …` in a directory."""
    return run(["wctl", *words], environment(stack), cwd=cwd)


@pytest.fixture(scope="module")
def traced(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """One traced profile through the service, and where the copy of its coverage was wanted."""
    copy = tmp_path_factory.mktemp("customer") / "profile-coverage"
    ended = wctl(
        stack,
        *("run-test-profile", SLUG, "--trace-code", "--coverage-dir", copy),
        *("--service-url", stack.service_url, "--base-url", stack.app_url),
        cwd=copy.parent,
    )
    return ended.expect(0), copy / f"{SLUG}.coverage"


def test_the_stream_ends_with_where_the_coverage_is(traced: tuple[Ended, Path]) -> None:
    ended, copy = traced
    lines = ended.out.splitlines()
    (saved,) = [number for number, line in enumerate(lines) if line.startswith("Profile coverage saved to ")]
    assert lines[saved] == f"Profile coverage saved to {copy}"
    assert lines[saved + 1].startswith("Verdict: complete")
    assert "/rq/api/archive" in ended.out, "the stream shows the requests"


def test_the_copy_is_the_merged_file(stack: Stack, traced: tuple[Ended, Path]) -> None:
    _, copy = traced
    assert flat(read_contexts(copy)) == flat(contexts_of(stack, SLUG))


def test_the_summary_is_there(stack: Stack, traced: tuple[Ended, Path]) -> None:
    _, copy = traced
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in stack.profiles_root.glob("_runs/*.json")]
    (summary,) = [summary for summary in summaries if summary["coverage_artifact"] == str(copy)]
    wanted = "profile run_id sandbox_run_id source_run_id dry_run base_url run_dir report requests coverage_artifact"
    assert set(wanted.split()) <= set(summary)
    assert summary["profile"] == SLUG
    assert summary["source_run_id"] == "legacy-palouse-0001"
    assert summary["sandbox_run_id"].startswith("profile;;tmp;;")
    assert summary["verdict"]["status"] == "complete"
    assert SLUG in summary["command"]
    assert "--trace-code" in summary["command"]
    assert stack.exports()["ADMIN_PASSWORD"] not in json.dumps(summary)


def test_the_shards_stay_and_can_be_combined_by_hand(stack: Stack, traced: tuple[Ended, Path]) -> None:
    _, copy = traced
    shards = sorted(path.name for path in stack.coverage_dir.glob(f"{SLUG}.coverage.*"))
    assert shards
    coverage("combine", *shards, cwd=stack.coverage_dir).expect(0)
    by_hand = stack.coverage_dir / ".coverage"
    assert flat(read_contexts(by_hand)) == flat(read_contexts(copy))
    by_hand.unlink()


def test_the_batch_shows_its_plan_and_does_nothing(stack: Stack, tmp_path: Path) -> None:
    before = everything(stack)
    ended = wctl(
        stack,
        *("run-profile-coverage-batch", "--include", SLUG, "us-small-wbt-daymet-rap-wepp"),
        *("--service-url", stack.service_url, "--base-url", stack.app_url, "--dry-run"),
        cwd=tmp_path,
    ).expect(0)
    assert SLUG in ended.out
    assert "us-small-wbt-daymet-rap-wepp" in ended.out
    assert "eu-heuristic-multiple" not in ended.out
    assert list(tmp_path.iterdir()) == []
    assert everything(stack) == before


def test_one_profile_as_a_dry_run(stack: Stack, tmp_path: Path) -> None:
    before = everything(stack)
    ended = wctl(stack, "run-test-profile", SLUG, "--dry-run", "--trace-code", cwd=tmp_path).expect(0)
    assert "/rq/api/archive" in ended.out
    assert everything(stack) == before


def everything(stack: Stack) -> dict[str, int]:
    """Every file that a run could write, with its time of change."""
    places = [stack.coverage_dir, stack.profiles_root, stack.playback_base]
    return {str(path): path.stat().st_mtime_ns for place in places for path in place.rglob("*") if path.is_file()}


def test_the_batch_writes_where_the_work_package_is(stack: Stack, tmp_path: Path) -> None:
    artifacts = tmp_path / "docs/work-packages/20251109_profile_playback_coverage/artifacts"
    artifacts.mkdir(parents=True)
    wctl(
        stack,
        *("run-profile-coverage-batch", "--include", SLUG),
        *("--service-url", stack.service_url, "--base-url", stack.app_url),
        cwd=tmp_path,
    ).expect(0)
    written = artifacts / f"{SLUG}.coverage"
    assert flat(read_contexts(written)) == flat(contexts_of(stack, SLUG))
    assert not list(stack.coverage_dir.glob(f"{SLUG}.coverage.*"))
    skipped = wctl(stack, "run-profile-coverage-batch", "--include", SLUG, "--skip-existing", cwd=tmp_path).expect(0)
    assert "exist" in skipped.text or "skip" in skipped.text


def test_an_unknown_command_goes_to_the_next_wctl(stack: Stack, tmp_path: Path) -> None:
    theirs = tmp_path / "bin" / "wctl"
    theirs.parent.mkdir()
    theirs.write_text('#!/bin/sh\necho "theirs: $*"\n', encoding="utf-8")
    theirs.chmod(0o755)
    env = environment(stack)
    both = env | {"PATH": f"{env['PATH']}:{theirs.parent}"}
    assert run(["wctl", "up", "-d"], both, cwd=tmp_path).expect(0).out == "theirs: up -d\n"
    alone = run(["wctl", "up", "-d"], env, cwd=tmp_path)
    assert alone.code == 2
    assert "up" in alone.text
