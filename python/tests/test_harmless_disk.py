"""Files that fail in mid-run: requests are answered, it is said once, and the verdict names the loss."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from judged import judge, logged, program, statuses
from one_or_two import BOTH, ONE, TWO, merged, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Workspace
    from judged import Judged
    from scenario import Outcome

BEGIN = """
import os, resource, shutil, signal, sys, time, work
from driver_client import Client
from pathlib import Path
data = Path(os.environ["PROFILE_COVERAGE_DIR"])
client = Client(work.app)


took = []


def one():
    begin = time.perf_counter()
    assert client.get("/one") == b"one"
    took.append(time.perf_counter() - begin)


def pause():
    # Writing shards takes a fiftieth of the time at most, and what it took is a part of what a request took.
    time.sleep(50 * max(took))


def two():
    # The fault shows when the lines are written, or before: the answer is right either way.
    assert client.get("/two") == b"two"


def later():
    # What is new waits for a twentieth of a second before a request's end writes it.
    time.sleep(0.05)
    pause()


def shard():
    [path] = data.glob("p.coverage.*")
    return path


def ledger():
    [path] = data.glob(".playtrace/p/r/*.ledger")
    return path


def without_capabilities():
    # Permissions count for root, too, from now on.
    import ctypes
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if os.geteuid() == 0:
        assert ctypes.CDLL(None).capset(header, none) == 0
"""


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    return written(workspace)


def run(work: Workspace, script: str) -> tuple[Outcome, Judged]:
    """Run requests in a process, and judge their run when it has ended."""
    outcome = work.run(f"{BEGIN}\n{script}\nclient.done()\n")
    return outcome, judge(work, statuses(outcome))


def test_without_a_fault_the_verdict_is_complete(work: Workspace) -> None:
    outcome, judged = run(work, "one()\ntwo()")
    assert (judged.status, judged.reasons, judged.code) == ("complete", [], 0)
    assert logged(outcome) == []
    assert merged(work) == BOTH


@pytest.mark.parametrize(
    "fault",
    [
        "shard().unlink()",
        "path = shard(); path.unlink(); path.write_bytes(b'garbage' * 3000)",
        "path = shard(); path.unlink(); path.mkdir()",
    ],
    ids=["deleted", "replaced by garbage", "replaced by a directory"],
)
def test_a_shard_that_is_taken_away_loses_nothing(work: Workspace, fault: str) -> None:
    outcome, judged = run(work, f"one()\n{fault}\ntwo()")
    assert (judged.status, judged.reasons) == ("complete", []), judged
    assert statuses(outcome) == ["on", "on"]
    assert logged(outcome) == []
    assert merged(work) == BOTH


class Fault(NamedTuple):
    """A fault between two requests, and what is said of it."""

    script: str
    #: In the status of the third request.
    header: str
    #: In the reasons, in this order, besides what the third request was told.
    reasons: tuple[tuple[str, ...], ...]
    after: str = ""


OF_THE_THIRD = ("data lost: web process", "ended in the middle of step 3 (GET /3)")
FAULTS = {
    "shard emptied": Fault(
        "os.truncate(shard(), 0)",
        "no such table",
        (OF_THE_THIRD, ("data lost: web process", "no such table")),
    ),
    "no descriptors left": Fault(
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))",
        "unable to open database file",
        (OF_THE_THIRD, ("data lost: web process", "unable to open database file")),
        after="resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
    ),
    "files can't grow": Fault(
        # As on a full disk, but for EFBIG instead of ENOSPC; it needs no privilege.
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (ledger().stat().st_size + 100, resource.RLIM_INFINITY))",
        "can't append to the ledger",
        (("data lost: the ledger", "ends in the middle of a record"),),
        after="resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    ),
    "directory read-only": Fault(
        "data.chmod(0o555)\nwithout_capabilities()",
        "can't write data file",
        (OF_THE_THIRD, ("data lost: web process", "can't write data file")),
        after="data.chmod(0o755)",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_switches_the_run_off(work: Workspace, name: str) -> None:
    fault = FAULTS[name]
    outcome, judged = run(work, f"one()\npause()\n{fault.script}\ntwo()\nlater()\none()\none()\n{fault.after}")
    first, *_, last = statuses(outcome)
    assert first == "on"
    assert last is not None
    assert last.startswith("off; switched off in this process: ")
    assert fault.header in last
    assert len(logged(outcome)) == 1, outcome.err
    assert judged.status == "partial"
    assert judged.code != 0
    for words in (*fault.reasons, ("not traced: step 4 (GET /4): off; ",)):
        # A busy machine has it found out between requests.
        found = judged.names(*words) or (words == OF_THE_THIRD and judged.names("not traced: step 3 (GET /3): off; "))
        assert found, judged.reasons
    # What was acknowledged before the fault is there.
    assert set(ONE) <= set(merged(work))


def test_a_fault_between_requests_is_said(work: Workspace) -> None:
    # What waits for half a second is written before the next request begins.
    fault, mended = FAULTS["directory read-only"].script, FAULTS["directory read-only"].after
    outcome, judged = run(work, f"one()\npause()\n{fault}\ntwo()\ntime.sleep(0.6)\none()\none()\n{mended}")
    assert [str(status).partition(";")[0] for status in statuses(outcome)] == ["on", "on", "off", "off"]
    (said,) = logged(outcome)
    assert "data may be incomplete: writing what waited" in said
    assert "can't write data file" in said
    assert judged.status == "partial"
    assert judged.names("data lost: web process", "can't write data file"), judged.reasons


NO_LEDGER = ("data lost: step 1 (GET /1) was traced, but its process's ledger is not in this directory",)


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("ledger().unlink()", [NO_LEDGER]),
        ("os.truncate(ledger(), 0)", [NO_LEDGER]),
        ("shutil.rmtree(data / '.playtrace')", [NO_LEDGER]),
        ("shutil.rmtree(data)", [NO_LEDGER]),
        ("data.rename(data.parent / 'moved')", [NO_LEDGER]),
        ("os.truncate(ledger(), ledger().stat().st_size // 2)", [("data lost: the ledger", "holds a damaged record")]),
        ("os.truncate(ledger(), ledger().stat().st_size - 9)", [("data lost: the ledger", "holds a damaged record")]),
        ("ledger().write_bytes(b'garbage' * 3000)", [NO_LEDGER, ("data lost: the ledger", "holds a damaged record")]),
    ],
    ids=["deleted", "emptied", ".playtrace deleted", "all deleted", "all moved", "halved", "torn", "overwritten"],
)
def test_a_ledger_that_is_harmed_is_named(work: Workspace, fault: str, reasons: list[tuple[str, ...]]) -> None:
    outcome, judged = run(work, f"one()\n{fault}\ntwo()\ntwo()")
    assert statuses(outcome) == ["on"] * 3
    assert judged.status == "partial"
    for words in reasons:
        assert judged.names(*words), judged.reasons
    # Work goes on being recorded.
    assert set(TWO) - set(ONE) <= set(merged(work))


@pytest.mark.parametrize(
    "fault",
    ["ledger().unlink()", "os.truncate(ledger(), 0)", "os.truncate(ledger(), 150)", "shutil.rmtree(data)"],
    ids=["deleted", "emptied", "cut off", "all deleted"],
)
def test_a_ledger_that_is_harmed_is_named_without_a_player(work: Workspace, fault: str) -> None:
    """Nobody else knows what there was to be proven."""
    outcome = work.run(f"{BEGIN}\none()\n{fault}\ntwo()\nclient.done()\n")
    assert statuses(outcome) == ["on"] * 2
    judged = judge(work, None)
    assert judged.status == "partial"
    assert judged.names("data lost: ", "the ledger was taken away or cut off"), judged.reasons


@pytest.mark.parametrize(
    "fault",
    [
        "shutil.rmtree(data)\ndata.write_text('mine')",
        "shutil.rmtree(data / '.playtrace')\n(data / '.playtrace').touch()",
    ],
    ids=["directory", ".playtrace"],
)
def test_a_file_in_the_place_of_a_directory_switches_off(work: Workspace, fault: str) -> None:
    outcome = work.run(f"{BEGIN}\none()\n{fault}\ntwo()\none()\nclient.done()")
    first, *others = statuses(outcome)
    assert first == "on"
    assert all(str(status).startswith("off; ") and "Not a directory" in str(status) for status in others), others
    assert len(logged(outcome)) == 1
    # Nothing can be judged: an error, not a verdict.
    argv = [str(program()), "combine", "--profile", "p", "--run", "r", str(work.data)]
    done = subprocess.run(argv, cwd=work.root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Verdict" not in done.stdout
    assert "Not a directory" in done.stderr or "no run" in done.stderr, done.stderr


def test_a_block_runs_where_it_can_not_be_traced(work: Workspace) -> None:
    blocks = "for block in [playtrace_agent.trace('p', 'r')] * 2:\n    with block:\n        print(1)\n"
    fault = "shutil.rmtree(data, ignore_errors=True)\ndata.write_text('mine')"
    outcome = work.run(f"{BEGIN}\nimport playtrace_agent\n{fault}\n{blocks}")
    assert outcome.out.split()[-2:] == ["1", "1"]
    assert outcome.err.count("not traced: a block of profile p: ") == 1


def test_each_run_whose_block_can_not_be_traced_is_said_however_many(work: Workspace) -> None:
    blocks = "for number in range(1003):\n    with playtrace_agent.trace('p', f'r{number}'):\n        pass\n"
    fault = "shutil.rmtree(data, ignore_errors=True)\ndata.write_text('mine')"
    outcome = work.run(f"{BEGIN}\nimport playtrace_agent\n{fault}\n{blocks}")
    assert outcome.err.count("not traced: a block of profile p: ") == 1003


# Other file systems --------------------------------------------------------------------------------


@pytest.fixture
def small(work: Workspace) -> Iterator[Workspace]:
    """Return a workspace whose coverage directory is a file system of 160 kB."""
    work.data.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=160k", "none", str(work.data)]
    try:
        mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount`; RLIMIT_FSIZE stands for a full disk above")
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here ({mounted.stderr.strip()}); RLIMIT_FSIZE stands for it above")
    yield work
    subprocess.run(["umount", str(work.data)], check=True)


FILL = """
def fill():
    try:
        with open(data / "filler", "wb", buffering=0) as file:
            while file.write(bytes(1024)):
                pass
    except OSError:
        pass
"""


def test_a_disk_that_fills_up(small: Workspace) -> None:
    outcome, judged = run(
        small, FILL + "one()\npause()\nfill()\ntwo()\nlater()\none()\none()\n(data / 'filler').unlink()"
    )
    first, *_, last = statuses(outcome)
    assert first == "on"
    assert str(last).startswith("off; switched off in this process: can't write")
    assert len(logged(outcome)) == 1
    assert judged.status == "partial"
    cut = judged.names("data lost: web process", "ended in the middle of step 3")
    assert cut or judged.names("not traced: step 3 (GET /3): off; "), judged.reasons
    assert judged.names("not traced: step 4 (GET /4): off; ", "can't write")
    # What the second request did was in the memory map before the disk refused to take it.
    assert merged(small) == BOTH


@pytest.mark.parametrize("damage", ["shard().write_bytes(b'garbage' * 3000)", "os.truncate(shard(), 100)"])
def test_a_shard_that_is_damaged_in_place_is_written_anew(work: Workspace, damage: str) -> None:
    outcome, judged = run(work, f"one()\n{damage}\ntwo()")
    assert statuses(outcome) == ["on", "on"]
    assert judged.status == "complete", judged
    assert merged(work) == BOTH


def test_a_disk_that_is_full_from_the_start(small: Workspace) -> None:
    script = BEGIN.replace("client = Client(work.app)", f"{FILL}\nfill()\nclient = Client(work.app)")
    outcome = small.run(f"{script}\none()\ntwo()\n(data / 'filler').unlink()\nclient.done()")
    assert all(str(status).startswith("off; ") for status in statuses(outcome)), statuses(outcome)
    assert sum("No space left on device" in line for line in logged(outcome)) == 2, "at the start, and for the run"
    judged = judge(small, statuses(outcome))
    for step in (1, 2):
        assert judged.names(f"not traced: step {step} ", "No space left on device"), judged.reasons


def test_a_directory_in_which_nothing_can_be_renamed(work: Workspace) -> None:
    work.data.mkdir()
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+a", work.data], capture_output=True, check=False).returncode != 0:
        pytest.skip("no directory can be made append-only here (chattr, root and a file system that knows it)")
    try:
        outcome = work.run(f"{BEGIN}\none()\ntwo()\nclient.done()")
    finally:
        subprocess.run([chattr, "-a", work.data], check=True)
    first, second = statuses(outcome)
    assert first == "on"
    assert str(second).startswith("off; switched off in this process: can't")
    assert len(logged(outcome)) == 1
    judged = judge(work, statuses(outcome))
    assert judged.status == "partial"
    assert judged.names("data lost: web process", "ended in the middle of step 1")


HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("begin exclusive")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_shard_that_is_locked_for_ever_does_not_hang_a_request(work: Workspace, tmp_path: Path) -> None:
    """The lock is let go only when the process has ended: a request that waited for it would never be answered."""
    holder = tmp_path / "holder.py"
    holder.write_text(HOLDER)
    outcome, judged = run(
        work,
        f"""
import subprocess
one()
holding = subprocess.Popen([sys.executable, {str(holder)!r}, str(shard())], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
assert holding.stdout.readline() == b"locked\\n"
two()
one()
holding.communicate()
""",
    )
    assert statuses(outcome) == ["on"] * 3
    assert (judged.status, judged.reasons) == ("complete", []), judged
    assert logged(outcome) == []
    assert merged(work) == BOTH
