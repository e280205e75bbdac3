"""Where requests with news follow one another closely, the shard may be behind the ledger, and catches up."""

from __future__ import annotations

import json
import signal
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge
from one_or_two import merged

if TYPE_CHECKING:
    from conftest import Workspace

REQUESTS = 40
#: Request `/n` executes the first two lines, a line for each number up to `n`, and one of its own.
WORK = "def app(environ, start_response):\n" + '    n = start_response("200 OK", []) or int(environ["PATH_INFO"][1:])\n'
WORK += "".join(f'    if n == {n}:\n        return [b"{n}"]\n' for n in range(REQUESTS))
ALL = list(range(2, 3 + 2 * REQUESTS))

DRIVER = """
import json, os, signal, sys, time, work
from driver_client import Client
from pathlib import Path
client = Client(work.app)


def shard():
    [path] = Path(os.environ["PROFILE_COVERAGE_DIR"]).glob("p.coverage.*")
    return path


def transactions():
    # SQLite's file change counter.
    return int.from_bytes(shard().read_bytes()[24:28], "big")


def burst(**tokens):
    client.get("/0", **tokens)
    before = transactions()
    for n in range(1, REQUESTS):
        assert client.get(f"/{n}", **tokens) == str(n).encode()
    return transactions() - before
""".replace("REQUESTS", str(REQUESTS))


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    workspace.write("work.py", WORK)
    workspace.write("driver_client.py", CLIENT)
    return workspace


def test_requests_with_news_share_transactions(work: Workspace) -> None:
    outcome = work.run(f"{DRIVER}\nprint(burst())")
    assert 0 <= int(outcome.out) < REQUESTS - 1
    # The process ended in an orderly way.
    assert outcome.wrote.lines("p", "work.py") == ALL
    assert outcome.wrote.of_kind("p", "closed", "r")[-1]["shard"] == outcome.wrote.shards()[0].name
    assert len(outcome.wrote.shards()) == 1


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
def test_what_only_the_ledger_has_is_put_beside_shards_that_stay(work: Workspace, granularity: str) -> None:
    # The last requests' own lines can't all have come after a pause.
    script = f"{DRIVER}\nburst()\nclient.done()\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)"
    outcome = work.run(script, env={"PROFILE_COVERAGE_GRANULARITY": granularity}, check=False)
    wrote = outcome.wrote

    def by_hand() -> list[int]:
        return sorted({line for files in wrote.contexts().values() for line in files["work.py"]})

    behind = "shard" not in wrote.of_kind("p", "closed", "r")[-1]
    assert (len(wrote.shards()), by_hand() != ALL) == (1, behind)
    judged = judge(work, None, keep=True)
    assert (judged.status, judged.reasons, merged(work)) == ("consistent", [], ALL), judged
    assert (len(wrote.shards()), by_hand()) == (1 + behind, ALL)
    # Once is enough.
    again = judge(work, None, keep=True)
    assert (again.status, len(wrote.shards())) == ("consistent", 1 + behind), again
    # When shards that were combined by hand are gone, they don't come back.
    for shard in wrote.shards():
        shard.unlink()
    third = judge(work, None, keep=True)
    assert third.status == "consistent", third
    assert (merged(work), wrote.shards()) == (ALL, [])


def test_without_a_run_nothing_waits(work: Workspace) -> None:
    # Whoever sends no token combines by hand, and nothing would tell that a shard is behind.
    outcome = work.run(f"{DRIVER}\nclient.get = lambda path, get=client.get: get(path, run=None)\nprint(burst())")
    assert int(outcome.out) == REQUESTS - 1


def test_blocks_do_not_wait(work: Workspace) -> None:
    script = """
        import playtrace_agent
        before = None
        for n in range(REQUESTS):
            with playtrace_agent.trace("p", run="r"):
                work.app({"PATH_INFO": f"/{n}"}, lambda *_: None)
            before = transactions() if before is None else before
        print(json.dumps(transactions() - before))
    """.replace("REQUESTS", str(REQUESTS))
    outcome = work.run(f"{DRIVER}\n{dedent(script)}")
    assert json.loads(outcome.out) == REQUESTS - 1


def test_any_later_request_brings_the_shard_up_to_date(work: Workspace) -> None:
    script = """
        burst()
        deadline = time.monotonic() + 60
        def lines():
            import coverage
            data = coverage.CoverageData(str(shard()))
            data.read()
            return len(data.lines("work.py"))
        while lines() < WANTED:
            assert time.monotonic() < deadline, lines()
            client.app({"REQUEST_METHOD": "GET", "PATH_INFO": "/0"}, lambda *_: None)
        os.kill(os.getpid(), signal.SIGKILL)
    """.replace("WANTED", str(len(ALL)))
    outcome = work.run(f"{DRIVER}\n{dedent(script)}", check=False)
    assert outcome.code == -signal.SIGKILL, outcome.err
    assert outcome.wrote.lines("p", "work.py") == ALL


def test_a_shard_that_was_taken_away_does_not_come_back_for_what_the_ledger_has(work: Workspace) -> None:
    script = """
        import playtrace_agent
        burst()
        shard().unlink()
        playtrace_agent.flush()
    """
    outcome = work.run(f"{DRIVER}\n{dedent(script)}")
    assert outcome.wrote.shards() == []
    assert judge(work, None).status == "consistent"
    assert merged(work) == ALL


def test_the_request_that_has_news_leaves_the_shard_to_a_later_one(work: Workspace) -> None:
    # However long ago the last transaction was: the first one is none, so that there is no pause.
    script = """
        client.get("/0")
        before = transactions()
        assert client.get("/1") == b"1"
        during = transactions() - before
        deadline = time.monotonic() + 60
        while transactions() == before:
            assert time.monotonic() < deadline
            client.get("/0")
        print(during, transactions() - before, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    outcome = work.run(f"{DRIVER}\n{dedent(script)}", check=False)
    assert outcome.out.split() == ["0", "1"], outcome.err
    assert outcome.wrote.lines("p", "work.py") == [2, 3, 4, 5, 6]


def test_news_do_not_wait_for_a_shard_that_was_taken_away(work: Workspace) -> None:
    # Combined by hand, say: what comes later is found by the next combining as well.
    script = """
        client.get("/0")
        shard().unlink()
        assert client.get("/1") == b"1"
        assert shard().stat().st_size
        os.kill(os.getpid(), signal.SIGKILL)
    """
    outcome = work.run(f"{DRIVER}\n{dedent(script)}", check=False)
    assert outcome.code == -signal.SIGKILL, outcome.err
    assert outcome.wrote.lines("p", "work.py") == [2, 3, 4, 5, 6]


def test_what_waits_when_the_process_forks_is_the_parents(work: Workspace) -> None:
    script = """
        client.get("/0")
        client.get("/1")
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    """
    outcome = work.run(f"{DRIVER}\n{dedent(script)}")
    assert outcome.wrote.lines("p", "work.py") == [2, 3, 4, 5, 6]
    assert outcome.wrote.of_kind("p", "closed", "r")[-1]["shard"] == outcome.wrote.shards()[0].name
