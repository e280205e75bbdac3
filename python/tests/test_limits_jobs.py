"""Limits that are reached in a job: it is done all the same, nothing new is traced, the log and the verdict say so."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import redis
from judged import judge
from queue_load import running, said
from rq_stage import serve, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

#: What jobs call; each counts itself, so that the test sees it without the agent.
WORK = """
import os
import playtrace_agent
import redis

CONNECTION = redis.Redis.from_url(os.environ["TEST_REDIS"] + "/2")


def plain(n):
    said = (first, second)[n > 0]()
    CONNECTION.incr("done")
    return said


def block(n):
    with playtrace_agent.trace("q", "r"):
        said = elsewhere()
    CONNECTION.incr("done")
    return said


def first():
    return "first"


def second():
    return "second"


def elsewhere():
    return "elsewhere"
"""
#: The apps: each has `send(name, n)`.
RQ = """
import os
import redis
import rq
import playtrace_agent.rq
import work

playtrace_agent.rq.install()
CONNECTION = redis.Redis.from_url(os.environ["TEST_REDIS"] + "/0")


def send(name, n):
    rq.Queue("work", connection=CONNECTION).enqueue(getattr(work, name), n)


if __name__ == "__main__":
    rq.SimpleWorker(["work"], connection=CONNECTION).work(logging_level="WARNING")
"""
CELERY = """
import os
import playtrace_agent.celery
import work
from celery import Celery

playtrace_agent.celery.install()
app = Celery("app", broker=os.environ["TEST_REDIS"] + "/0", backend=os.environ["TEST_REDIS"] + "/1")
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
app.conf.broker_transport_options = {"polling_interval": 0.1}  # how soon it sees that it is to end, in seconds
TASKS = {name: app.task(getattr(work, name), name=name) for name in ("plain", "block")}
app.finalize()


def send(name, n):
    TASKS[name].delay(n)
"""
HUEY = """
import os
import playtrace_agent.huey
import work
from huey import RedisHuey

playtrace_agent.huey.install()
huey = RedisHuey("app", url=os.environ["TEST_REDIS"] + "/0")
TASKS = {name: huey.task()(getattr(work, name)) for name in ("plain", "block")}


def send(name, n):
    TASKS[name](n)
"""
SEND = """
import playtrace_agent
from app import send

with playtrace_agent.trace("p", "r"):
    for n in range({count}):
        send({name!r}, n)
"""


@dataclass(frozen=True)
class Queue:
    """A queue with a worker of one process that does one job at a time."""

    app: str
    command: tuple[str, ...]
    end: signal.Signals = signal.SIGTERM


QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")
QUEUES = {
    "rq": Queue(RQ, ("-c", "import runpy; runpy.run_module('app', run_name='__main__')")),
    "celery": Queue(CELERY, ("-m", "celery", "-A", "app", "worker", "--pool", "prefork", "-c", "1", *QUIET)),
    "huey": Queue(HUEY, ("-m", "huey.bin.huey_consumer", "app.huey", "-w", "1", "-d", "0.05"), signal.SIGINT),
}


@dataclass(frozen=True)
class Cap:
    """A limit, the jobs that reach it, and what is told of it."""

    value: str
    #: What each job calls.
    job: str
    count: int = 1
    #: The profile that is told: its run is there, and it is not traced.
    told: str = "p"
    #: Which functions are in which profile's lines.
    called: frozenset[tuple[str, str]] = frozenset()
    #: So many jobs are traced at least.
    fewest: int = 0


_FIRST = frozenset({("p", "first")})
CAPS = {
    "MAX_SHARD": Cap("1kB", "plain", 3, called=_FIRST, fewest=1),
    "MAX_LEDGER": Cap("3kB", "plain", 40, called=_FIRST | {("p", "second")}, fewest=2),
    "MIN_FREE": Cap("1000000GB", "plain", 2),
    # A block of another profile within the job: where it can't be traced for that, it is the job's.
    "MAX_CONTEXTS": Cap("3", "block", told="q", called=frozenset({("p", "elsewhere")}), fewest=1),
    "MAX_FILES": Cap("1", "block", told="q", called=frozenset({("p", "elsewhere")}), fewest=1),
    "MAX_RUNS": Cap("1", "block", told="", called=frozenset({("p", "elsewhere")}), fewest=1),
}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


#: Celery's worker takes longest: of its limits one that is met before a job is traced, and one that is met meanwhile.
CASES = [(queue, name) for queue in ("rq", "huey") for name in CAPS] + [("celery", "MIN_FREE"), ("celery", "MAX_SHARD")]


@pytest.mark.parametrize(("queue", "name"), CASES)
def test_a_limit_within_a_job(workspace: Workspace, redis_url: str, queue: str, name: str) -> None:
    cap, way = CAPS[name], QUEUES[queue]
    with redis.Redis.from_url(f"{redis_url}/2") as connection:
        connection.flushall()
        workspace.write("work.py", WORK)
        workspace.write("app.py", way.app)
        omitted = "[run]\nrelative_files = True\ninclude = work.py\n"
        workspace.write("coverage.profile-playback.ini", omitted)
        env = {"TEST_REDIS": redis_url}
        workspace.run(SEND.format(name=cap.job, count=cap.count), env=env, warnings="default")
        if cap.told == "q":
            # The player has begun it.
            (workspace.data / ".playtrace" / "q" / "r").mkdir(parents=True)
        limited = {**env, f"PROFILE_COVERAGE_{name}": cap.value}
        with running(workspace, [sys.executable, *way.command], limited, way.end) as process:

            def done() -> bool:
                return int(connection.get("done") or 0) >= cap.count or process.poll() is not None

            wait(done, lambda: said(workspace))
            assert process.poll() is None, said(workspace)
    _check(workspace, name, cap)


def _check(workspace: Workspace, name: str, cap: Cap) -> None:
    [line] = [line for line in said(workspace).splitlines() if "not traced" in line]
    assert f"(PROFILE_COVERAGE_{name}=" in line
    assert "PT-AGENT-007" in line
    # The line of each function that was called by traced work.
    text = WORK.lstrip("\n").splitlines()
    lines = {slug: workspace.look().lines(slug, "work.py") for slug in ("p", "q")}
    called = {
        (slug, word)
        for slug, found in lines.items()
        for word in ("first", "second", "elsewhere")
        if text.index(f'    return "{word}"') + 1 in found
    }
    traced = [record["job"] for record in workspace.look().of_kind("p", "open", "r") if record["kind"] == "job"]
    jobs = {record["job"] for record in workspace.look().of_kind("p", "enqueue", "r")}
    assert len(jobs) == cap.count
    assert called == cap.called
    assert cap.fewest <= len(traced) < cap.count + (cap.job == "block")
    judged = judge(workspace, [])
    # Each job that is not traced is named. That there was no room is said once, however many they are.
    left = [reason for reason in judged.reasons if any(job in reason for job in jobs)]
    assert {job for job in jobs if any(job in reason for reason in left)} == jobs - set(traced)
    assert all(reason.startswith("not traced") and "a limit was reached" in reason for reason in left), left
    rest = [reason for reason in judged.reasons if reason not in left]
    if cap.told == "q":
        assert (judged.status, judged.reasons) == ("complete", [])
        rest = judge(workspace, [], slug="q").reasons
    if cap.told:
        [reason] = rest
        assert reason.startswith("not traced: ")
        assert f"(PROFILE_COVERAGE_{name}=" in reason
    else:
        # A run that nobody has begun leaves nothing.
        assert rest == []
        assert not (workspace.data / ".playtrace" / "q").exists()
