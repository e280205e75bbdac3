"""arq: a real worker under eight profiles at once, and what becomes of jobs that do not end well."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge
from queue_load import FAULTS, Load, compare, judge_all, running, said, see_faults, see_traffic, thorough
from rq_stage import serve, wait
from traffic import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

KINDS = {"plain": 1, "deferred": 1, "retried": 3, "parent": 4, "threaded": 2, "failing": 1}
LOAD = Load("arq_app", KINDS, rounds=1)
WORKER = (sys.executable, "-c", "from arq.cli import cli; cli()", "arq_app.WorkerSettings")
RUN = (sys.executable, "-m", "playtrace_agent", "run", "--")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.mark.parametrize(
    "line", [pytest.param(True, marks=thorough, id="a line in the app"), pytest.param(False, id="started by us")]
)
def test_profiles_at_once(workspace: Workspace, redis_url: str, *, line: bool) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url, "TEST_BEAT": "1", **ALWAYS, **({} if line else {"TEST_LINE": "none"})}
    with running(workspace, [*(() if line else RUN), *WORKER], env, signal.SIGTERM) as process:
        LOAD.send(workspace, env if line else {**env, "PROFILE_COVERAGE_HOOKS": "1"})
        LOAD.wait(connection, process)
        wait(lambda: int(str(connection.get("beats") or 0)) > 0)
        # Retries of jobs that this worker leaves undone would be owed.
        wait(lambda: not worker_is_busy(redis_url))
    connection.close()
    assert "data may be incomplete" not in said(workspace)
    assert "not traced" not in said(workspace)
    found = compare(workspace, LOAD)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace)
    see_traffic(workspace, LOAD)
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))


def worker_is_busy(redis_url: str) -> bool:
    """Say whether a job of the load is in the queue or under way."""
    import redis

    with redis.Redis.from_url(f"{redis_url}/0", decode_responses=True) as connection:
        return any(not str(job).startswith("cron:") for job in connection.zrange("arq:queue", 0, -1))


#: Enqueues a job of each kind that does not end well, as work of a profile of the kind's name; prints their ids.
ENDS = """
import json
import time
import playtrace_agent
from arq.constants import abort_jobs_ss
from arq_app import send

SEND = {
    "aborted": lambda pool: pool.enqueue_job("plain", "nobody_beat", _defer_by=1),
    "expired": lambda pool: pool.enqueue_job("plain", "nobody_beat", _expires=0.01),
    "unknown": lambda pool: pool.enqueue_job("nowhere"),
    "elsewhere": lambda pool: pool.enqueue_job("plain", "nobody_beat", _queue_name="elsewhere"),
    "tried": lambda pool: pool.enqueue_job("retried", [f"p1_retried_0_{n % 3}" for n in range(9)]),
    "killed": lambda pool: pool.enqueue_job("gated", "p2_plain_0_0"),
}
ids = {}
for slug, work in SEND.items():
    with playtrace_agent.trace(slug, "r"):
        ids[slug] = send(work).job_id
        if slug != "expired":
            # A job of the same id is not enqueued, and not promised.
            assert send(lambda pool: pool.enqueue_job("plain", "nobody_beat", _job_id=ids[slug])) is None
send(lambda pool: pool.zadd(abort_jobs_ss, {ids["aborted"]: int(time.time() * 1000)}))
print(json.dumps(ids))
"""


@thorough
def test_jobs_that_do_not_end_well(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url}
    ids = json.loads(workspace.run(ENDS, env=env, warnings="default").out)
    with running(workspace, WORKER, env, signal.SIGTERM) as process:
        wait(lambda: bool(connection.exists("pid:p2_plain_0_0")) or process.poll() is not None)
        slugs = ("aborted", "expired", "unknown", "tried")
        wait(lambda: all(workspace.look().of_kind(slug, "dropped", "r") for slug in slugs))
        os.kill(int(str(connection.get("pid:p2_plain_0_0"))), signal.SIGKILL)
    connection.close()
    results = {slug: judge(workspace, [], slug=slug, run="r") for slug in ids}
    aborted = results.pop("aborted")
    assert (aborted.status, aborted.reasons) == ("complete", [])
    assert f"job {ids['aborted']} (plain) did not run: it was aborted before it began" in aborted.notes
    for slug, words in {
        "expired": "(plain) did not run: its worker gave it up: job expired",
        "unknown": "(nowhere) did not run: its worker gave it up: function 'nowhere' not found",
        "tried": "(retried) did not run: its worker gave it up: max 5 retries exceeded",
        "elsewhere": "(plain) was enqueued and has not been started",
    }.items():
        assert results[slug].names(f"job {ids[slug]} {words}"), results[slug]
    assert results["killed"].names("ended in the middle of", f"job {ids['killed']} (gated)"), results["killed"]
    for judged in results.values():
        assert (judged.status, len(judged.reasons)) == ("partial", 1), judged


@thorough
def test_a_worker_that_ends_leaves_its_jobs_to_another(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url}
    text = """
import playtrace_agent
from arq_app import send
with playtrace_agent.trace("p", "r"):
    print(send(lambda pool: pool.enqueue_job("gated", "p2_plain_0_0")).job_id)
"""
    job = workspace.run(text, env=env, warnings="default").out.strip()
    with running(workspace, WORKER, env, signal.SIGTERM) as process:
        wait(lambda: bool(connection.exists("pid:p2_plain_0_0")) or process.poll() is not None)
    connection.close()
    judged = judge(workspace, [], slug="p", run="r")
    assert judged.status == "partial"
    again = f"job {job} (gated) was enqueued again (a retry, say), and of its 2 executions 1 did not start"
    assert judged.reasons == [again], judged


@thorough
def test_what_redis_refuses_is_withdrawn(workspace: Workspace, redis_url: str) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    workspace.run(
        """
import arq_app
import playtrace_agent
import pytest
import redis
from redis.asyncio.client import Pipeline


async def execute(self, *args):
    raise redis.ConnectionError("refused")


async def work(pool):
    Pipeline.execute = execute
    with pytest.raises(redis.ConnectionError):
        await pool.enqueue_job("plain", "nobody_beat")


with playtrace_agent.trace("p", "r"):
    arq_app.send(work)
""",
        env={"TEST_REDIS": redis_url},
        warnings="default",
    )
    assert len(workspace.look().of_kind("p", "withdrawn", "r")) == 1
    judged = judge(workspace, [], slug="p", run="r")
    assert (judged.status, judged.reasons) == ("complete", []), judged


#: Something takes the slug out of some definitions.
STRIP = """
from playtrace_agent import jobs

run_in, open_job = jobs.run_in, jobs.open_unit
jobs.run_in = lambda carried: None if (carried or {}).get("profile_trace_slug") == "p0" else run_in(carried)
# Jobs have contexts of their own here, which none is left in; but whose a job is may be mixed up.
jobs.open_unit = lambda run, *args, **more: open_job(("p2", "r") if run[0] == "p5" else run, *args, **more)
"""


@thorough
def test_faults_are_seen(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    workspace.write("faults.py", FAULTS + STRIP)
    env = {"TEST_REDIS": redis_url, "TEST_FAULTS": "1"}
    with running(workspace, WORKER, env, signal.SIGTERM) as process:
        LOAD.send(workspace, env)
        LOAD.wait(connection, process)
        wait(lambda: not worker_is_busy(redis_url))
    connection.close()
    see_faults(workspace, LOAD, lost=("p3", "p5"))
