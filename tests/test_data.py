"""Our files under coverage.py, and coverage.py's under playtrace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.oracle import surroundings
from tests.oracle.run import read_contexts, record
from tests.support import Ended, coverage, environment, flat, playtrace, run

from stack import Stack  # isort: skip

SLUG = "single-storm"


@pytest.fixture(scope="module")
def shards(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shards of one run, and the merged file as playtrace made it: `merged`."""
    playtrace(stack, "play", SLUG, "--trace-code").expect(1)
    copy = tmp_path_factory.mktemp("shards")
    found = sorted(stack.coverage_dir.glob(f"{SLUG}.coverage.*"))
    assert len(found) >= 3, "web processes and work horses each write a shard"
    for shard in found:
        shutil.copy(shard, copy)
    shutil.copy(stack.coverage_dir / f"{SLUG}.coverage", copy / "merged")
    return copy


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with shards that coverage.py wrote, and what it combined them into: `single-storm`."""
    out = tmp_path_factory.mktemp("coverage-py")
    record(SLUG, out)
    return out / "data"


def combine(stack: Stack, cwd: Path, *arguments: str | Path) -> Ended:
    """Run `playtrace combine` in a directory."""
    return run([surroundings.program(), "combine", *arguments], environment(stack), cwd=cwd)


def test_coverage_reports_on_a_merged_file(shards: Path) -> None:
    report = coverage("report", "--data-file", shards / "merged", cwd=surroundings.ROOT).expect(0)
    assert "demo/app/weppdemo/rq/wepp_jobs.py" in report.out
    assert "TOTAL" in report.out
    assert "warning" not in report.err.lower()


def test_coverage_combines_our_shards_into_what_we_merge(shards: Path, tmp_path: Path) -> None:
    copies = [shutil.copy(shard, tmp_path) for shard in shards.glob(f"{SLUG}.coverage.*")]
    coverage("combine", "--data-file", "theirs", *(Path(copy).name for copy in copies), cwd=tmp_path).expect(0)
    assert flat(read_contexts(tmp_path / "theirs")) == flat(read_contexts(shards / "merged"))


def test_we_combine_their_shards_into_what_they_do(stack: Stack, oracle: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copy(shard, tmp_path)).name for shard in oracle.glob(f"{SLUG}.*")]
    assert len(copies) >= 3
    combine(stack, tmp_path, "--data-file", "ours", *copies).expect(0)
    assert flat(read_contexts(tmp_path / "ours")) == flat(read_contexts(oracle / SLUG))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours"], "what was combined is removed"


def test_a_truncated_shard_is_named_and_kept_and_the_others_are_merged(
    stack: Stack, shards: Path, tmp_path: Path
) -> None:
    copies = sorted(Path(shutil.copy(shard, tmp_path)) for shard in shards.glob(f"{SLUG}.coverage.*"))
    victim = copies[0]
    before = victim.read_bytes()[: victim.stat().st_size // 2]
    victim.write_bytes(before)
    ended = combine(stack, tmp_path, "--data-file", "ours", *(copy.name for copy in copies)).expect(3)
    assert victim.name in ended.text
    assert victim.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([victim.name, "ours"])
    expected = set[tuple[str, str, int]]().union(
        *(flat(read_contexts(shards / copy.name)) for copy in copies if copy != victim)
    )
    assert flat(read_contexts(tmp_path / "ours")) == expected
