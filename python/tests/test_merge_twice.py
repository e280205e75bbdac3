"""A run merged again after its ledger was harmed, merges that find no room, and sources that change in mid-run."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from judged import judge, program, statuses
from one_or_two import BOTH, WORK, merged, written

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace

DRIVER = """
import work
from driver_client import Client
client = Client(work.app)
client.get("/one")
client.get("/two")
client.done()
"""


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    return written(workspace)


def ledger(work: Workspace) -> Path:
    """Return the ledger of the one web process."""
    [path] = [path for path in work.data.glob(".playtrace/p/r/*.ledger") if b'"t":"open"' in path.read_bytes()]
    return path


def combine(work: Workspace, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Merge the run once more."""
    argv = [str(program()), "combine", "--profile", "p", "--run", "r", *more, str(work.data)]
    return subprocess.run(argv, cwd=work.root, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize("harm", ["deleted", "emptied", "halved", "cut between records", "all gone"])
@pytest.mark.parametrize("player", [True, False], ids=["with a player", "without"])
def test_a_merge_after_the_ledger_was_harmed_takes_nothing_away(work: Workspace, harm: str, player: bool) -> None:
    outcome = work.run(DRIVER)
    first = judge(work, statuses(outcome) if player else None)
    assert first.status == ("complete" if player else "consistent")
    assert merged(work) == BOTH
    assert not list(work.data.glob("p.coverage.*")), "the merge has removed the shards"
    path = ledger(work)
    content = path.read_bytes()
    match harm:
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "halved":
            path.write_bytes(content[: len(content) // 2])
        case "cut between records":
            path.write_bytes(b"".join(content.splitlines(keepends=True)[:2]))
        case _:
            shutil.rmtree(work.data / ".playtrace")
    done = combine(work)
    assert merged(work) == BOTH
    verdict = json.loads((work.data / "p.verdict.json").read_text())
    assert verdict["status"] == first.status, done.stdout
    if harm == "all gone":
        assert "PT-MERGE-001" in done.stderr
        assert done.returncode == 4
    else:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is not here any more, or was harmed; what that merge had found stands" in done.stdout


def test_a_ledger_cut_between_records_before_the_merge_is_named(work: Workspace) -> None:
    """Without a player nobody says that there was a second request; its lines are in the shard."""
    work.run(DRIVER)
    lines = ledger(work).read_bytes().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if b'"t":"closed"' in line)
    ledger(work).write_bytes(b"".join(lines[: first + 1]))
    judged = judge(work, None)
    assert judged.status == "partial"
    assert judged.names("data lost: a part of the ledger is gone", "work.py"), judged.reasons
    assert merged(work) == BOTH


def test_a_disk_that_is_full_at_the_merge_costs_nothing(work: Workspace) -> None:
    outcome = work.run(DRIVER)
    shards = list(work.data.glob("p.coverage.*"))

    def no_room() -> None:
        # As on a full disk, but for EFBIG instead of ENOSPC; it needs no privilege.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    before = ledger(work).read_bytes()
    done = combine(work, preexec_fn=no_room)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "shards and ledger are as they were" in done.stderr
    assert list(work.data.glob("p.coverage.*")) == shards
    assert ledger(work).read_bytes() == before
    assert not (work.data / "p.coverage").exists()
    assert not list(work.data.glob(".playtrace-*")), "nothing half-written is left"
    judged = judge(work, statuses(outcome))
    assert (judged.status, merged(work)) == ("complete", BOTH)


def test_merges_killed_at_any_moment_lose_nothing(work: Workspace) -> None:
    outcome = work.run(DRIVER)
    # The longer it lives, the further it comes: before the lock, between two files, after the last one.
    for number in range(60):
        argv = [str(program()), "combine", "--profile", "p", "--run", "r", str(work.data)]
        merging = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            merging.wait(timeout=number * 0.0005)
        except subprocess.TimeoutExpired:
            merging.kill()
            merging.wait()
        if (work.data / "p.coverage").exists():
            assert merged(work) == BOTH, number
    judged = judge(work, statuses(outcome))
    assert (judged.status, merged(work)) == ("complete", BOTH), judged.reasons


def test_a_file_that_changes_between_two_processes_makes_the_run_stale(work: Workspace) -> None:
    def once(sent: int) -> list[str | None]:
        # The second process goes on where the first one's steps ended.
        return statuses(work.run(DRIVER.replace("client.get", f"client.statuses = [None] * {sent}\nclient.get", 1)))

    first = once(0)
    work.write("work.py", f"# moved\n{WORK}")
    second = once(2)
    judged = judge(work, [*first, *second[2:]])
    assert judged.status == "stale"
    assert judged.names("work.py was loaded with 2 different contents"), judged.reasons
    verdict = json.loads((work.data / "p.verdict.json").read_text())
    assert verdict["mixed_sources"] == ["work.py"]
    assert "work.py" not in verdict["sources"]
    argv = [str(program()), "report", "p", "--data-dir", str(work.data), "--source", str(work.app), "--format", "json"]
    done = subprocess.run(argv, cwd=work.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((work.root / "out/reports/p.json").read_text())
    assert report["status"] == "stale"
    [file] = [file for file in report["files"] if file["path"] == "work.py"]
    assert file["stale"]
    assert file["executed_lines"] == []
