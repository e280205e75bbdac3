"""`kill -9` in the middle of a replay: the service stays up, no shard is corrupt, the verdict names what is missing.

Work is stopped at a known place by holding the lock that it needs; the ledger says when it got there.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import requests

from tests import little_profiles
from tests.conftest import Run
from tests.oracle.run import Lines, read_contexts
from tests.support import (
    Entry,
    Replay,
    contexts_of,
    coverage,
    flat,
    ledger,
    open_units,
    playtrace,
    until,
    verdict_of,
    without,
)

from stack import Stack  # isort: skip


def blocked(stack: Stack, slug: str, kind: str, what: str) -> Entry | None:
    """The unit of work that is under way in the profile's newest run and whose record names `what`."""
    entries = ledger(stack.coverage_dir, slug)
    functions = {entry.record["job"]: entry.record["function"] for entry in entries if entry.kind == "enqueue"}
    for entry in open_units(entries, kind=kind):
        if what in str(entry.record.get("what", "")) + functions.get(entry.record.get("job", ""), ""):
            return entry
    return None


def shards_are_whole(stack: Stack, slug: str) -> int:
    """Read every shard of a profile; returns how many there are. A damaged one raises."""
    shards = sorted(stack.coverage_dir.glob(f"{slug}.coverage.*"))
    shards = [shard for shard in shards if not shard.name.endswith("-journal")]
    for shard in shards:
        read_contexts(shard)
    return len(shards)


def still_serves(stack: Stack) -> None:
    """Fail unless app, service and workers do their work."""
    stack.check()
    assert requests.get(f"{stack.app_url}/health", timeout=30).ok
    assert requests.get(f"{stack.service_url}/health", timeout=30).ok
    playtrace(stack, "play", little_profiles.PROBE, "--trace-code").expect(0)
    assert verdict_of(stack, little_profiles.PROBE).status == "complete"


def test_a_web_process_is_killed(stack: Stack, tmp_path: Path) -> None:
    slug = little_profiles.REQUEST
    # What other tests left of a whole run would stand.
    for path in (stack.coverage_dir / f"{slug}.coverage", stack.coverage_dir / f"{slug}.verdict.json"):
        path.unlink(missing_ok=True)
    with Replay.begin(stack, tmp_path / "log", "play", slug, "--trace-code") as replay:
        with replay.holding("ron"):
            victim = until(lambda: blocked(stack, slug, "request", "/tasks/notes"), "the request at the lock")
            stack.kill_web_worker(victim.pid)
        ended = replay.wait()
    assert ended.code in (1, 3), ended.out
    verdict = verdict_of(stack, slug)
    assert verdict.status in ("partial", "failed")
    assert "/tasks/notes" in verdict.reasons
    assert str(victim.pid) in verdict.reasons, "the verdict names the process that was lost"
    assert "/tasks/notes" in ended.text
    assert shards_are_whole(stack, slug) >= 1
    # What the killed process had done before is there.
    assert contexts_of(stack, slug)[f"profile:{slug}"]["demo/app/weppdemo/routes/pages.py"]
    still_serves(stack)


def test_a_work_horse_is_killed(stack: Stack, tmp_path: Path) -> None:
    slug = little_profiles.JOB
    with Replay.begin(stack, tmp_path / "log", "play", slug, "--trace-code") as replay, replay.holding("ron"):
        victim = until(lambda: blocked(stack, slug, "job", "project_jobs.archive"), "the job at the lock")
        assert victim.pid in stack.work_horse_pids()
        os.kill(victim.pid, signal.SIGKILL)
        ended = replay.wait()
    assert ended.code in (1, 3), ended.out
    verdict = verdict_of(stack, slug)
    assert verdict.status in ("partial", "failed")
    assert "project_jobs.archive" in verdict.reasons
    assert str(victim.pid) in verdict.reasons, "the verdict names the process that was lost"
    assert "project_jobs.archive" in ended.text
    assert shards_are_whole(stack, slug) >= 1
    assert contexts_of(stack, slug)[f"profile:{slug}"]["demo/app/weppdemo/routes/project_api.py"], (
        "the request's lines are there"
    )
    still_serves(stack)


def test_shards_combined_by_hand_in_the_middle(
    stack: Stack, cold: dict[str, Run], cold_only: list[tuple[str, range]], tmp_path: Path
) -> None:
    slug = "legacy-palouse"
    with Replay.begin(stack, tmp_path / "log", "play", slug, "--trace-code") as replay:
        with replay.holding("ron"):
            until(lambda: blocked(stack, slug, "request", "/tasks/notes"), "the request at the lock")
            shards = sorted(path.name for path in stack.coverage_dir.glob(f"{slug}.coverage.*"))
            assert shards, "nothing to combine in the middle of the run"
            # As the customer's quick-start does it.
            coverage("combine", *shards, cwd=stack.coverage_dir).expect(0)
            assert not [name for name in shards if (stack.coverage_dir / name).exists()]
        replay.wait().expect(0)
    (stack.coverage_dir / ".coverage").unlink()
    verdict = verdict_of(stack, slug)
    assert verdict.status == "complete", verdict.reasons
    found, whole = contexts_of(stack, slug), cold[slug].contexts
    assert flat(without(profile(found), cold_only)) == flat(without(profile(whole), cold_only))


def profile(contexts: dict[str, Lines]) -> dict[str, Lines]:
    """Without what imports ran: the shared web processes had imported it before."""
    return {context: lines for context, lines in contexts.items() if context != "import"}
