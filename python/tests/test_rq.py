"""Jobs on a real Redis: tagged before a worker can see them, traced in whatever runs them."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import redis
from rq_stage import serve, wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Workspace

JOBS = """
import os
import subprocess
import sys
import threading


def plain(n):
    return inner(n)


def inner(n):
    return n + 1


def failing():
    raise ValueError("on purpose")


def parent():
    from rq import Queue, get_current_job
    job = get_current_job()
    return Queue("work", connection=job.connection).enqueue(plain, 2).id


def child():
    return subprocess.check_output([sys.executable, os.path.join(os.path.dirname(__file__), "tool.py")])


def on_success(job, connection, result, *args, **kwargs):
    return "success"


def on_failure(job, connection, type, value, traceback):
    return "failure"


class Argument:
    def __setstate__(self, state):
        self.__dict__.update(state)
"""

WORKER = """
import sys
import playtrace_agent.rq

playtrace_agent.rq.install()

from redis import Redis
from rq import SimpleWorker, Worker

kinds = {"forking": Worker, "simple": SimpleWorker, "ours": playtrace_agent.rq.Worker}
worker = kinds[sys.argv[1]](["work"], connection=Redis.from_url(sys.argv[2]), name="w1")
worker.work(burst=sys.argv[3] == "burst", with_scheduler=False, logging_level="WARNING")
"""


def _body(name: str) -> int:
    """The first line of a job function's body."""
    return JOBS.lstrip("\n").splitlines().index(f"def {name}") + 2


PLAIN = [_body("plain(n):"), _body("inner(n):")]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis of our own."""
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.fixture
def queue(redis_url: str, workspace: Workspace) -> str:
    """Return an empty Redis, with the app's files in place."""
    connection = redis.Redis.from_url(redis_url)
    connection.flushall()
    connection.close()
    workspace.write("jobs.py", JOBS)
    workspace.write("tool.py", "x = 1\ny = 2\n")
    workspace.write("driver_worker.py", WORKER)
    return redis_url


def enqueue(workspace: Workspace, queue: str, work: str, env: dict[str, str | None] | None = None) -> str:
    """Run what a web process does; its output."""
    return workspace.run(
        f"""
import redis, rq, jobs, playtrace_agent, playtrace_agent.rq, playtrace_agent.runtime
playtrace_agent.runtime.start("web")
playtrace_agent.rq.install_queue_if_present()
connection = redis.Redis.from_url({queue!r})
queue = rq.Queue("work", connection=connection)
{work}
connection.close()
""",
        env=env,
        warnings="default",
    ).out


def work(workspace: Workspace, queue: str, kind: str = "forking", cwd: Path | None = None) -> None:
    """Let a worker do all that is queued."""
    done = subprocess.run(
        [sys.executable, str(workspace.app / "driver_worker.py"), kind, queue, "burst"],
        env=workspace.environment(),
        cwd=cwd or workspace.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_class_for_the_command_line_traces(workspace: Workspace, queue: str) -> None:
    enqueue(
        workspace,
        queue,
        """
with playtrace_agent.trace("p", "r"):
    job = queue.enqueue(jobs.plain, 1, meta={"mine": 1})
    assert job.meta == {"mine": 1, "profile_trace_slug": "p", "profile_trace_run": "r"}, job.meta
    queue.enqueue(jobs.failing)
with playtrace_agent.trace("q"):
    queue.enqueue(jobs.child)
queue.enqueue(jobs.plain, 3)
""",
    )
    work(workspace, queue, "ours")
    wrote = workspace.look()
    assert wrote.lines("p", "jobs.py") == [*PLAIN, _body("failing():")]
    assert wrote.lines("q", "jobs.py") == [_body("child():")]
    assert wrote.lines("q", "tool.py") == [1, 2]
    assert wrote.unclosed("p", "r") == []
    assert wrote.unclosed("q") == []
    promised = {record["job"]: record["function"] for record in wrote.of_kind("p", "enqueue", "r")}
    assert sorted(promised.values()) == ["jobs.failing", "jobs.plain"]
    opened = [record for record in wrote.of_kind("p", "open", "r") if record["kind"] == "job"]
    assert {record["job"] for record in opened} == set(promised)
    starts = wrote.of_kind("p", "job-start", "r")
    assert {(record["job"], record["worker"]) for record in starts} == {(job, "w1") for job in promised}
    roles = {record["role"] for record in wrote.of_kind("p", "boot", "r")}
    assert roles == {"web", "worker", "job"}
    # The notes for jobs whose meta was replaced are taken away.
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))


def test_the_tag_is_there_before_a_worker_can_see_the_job(workspace: Workspace, queue: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, str(workspace.app / "driver_worker.py"), "simple", queue, "stay"],
        env=workspace.environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        enqueue(
            workspace,
            queue,
            """
with playtrace_agent.trace("p"):
    for n in range(100):
        queue.enqueue(jobs.plain, n)
    queue.enqueue_many([rq.Queue.prepare_data(jobs.plain, (n,)) for n in range(20)])
""",
        )

        def all_done() -> bool:
            opened = [record for record in workspace.look().of_kind("p", "open") if record["kind"] == "job"]
            return len(opened) == 120 and not workspace.look().unclosed("p")

        wait(all_done)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait()
    wrote = workspace.look()
    jobs = {record["job"] for record in wrote.of_kind("p", "enqueue")}
    assert jobs == {record["job"] for record in wrote.of_kind("p", "open") if record["kind"] == "job"}
    assert len(jobs) == 120


def test_jobs_of_jobs_dependents_and_callbacks(workspace: Workspace, queue: str) -> None:
    enqueue(
        workspace,
        queue,
        """
from rq import Callback
with playtrace_agent.trace("p"):
    queue.enqueue(jobs.parent)
with playtrace_agent.trace("first"):
    first = queue.enqueue(jobs.plain, 1, on_success=Callback(jobs.on_success))
with playtrace_agent.trace("second"):
    queue.enqueue(jobs.failing, depends_on=first, on_failure=Callback(jobs.on_failure))
queue.enqueue(jobs.plain, 5, depends_on=first)     # nobody's, though a traced job sets it free
""",
    )
    work(workspace, queue)
    wrote = workspace.look()
    assert set(PLAIN) < set(wrote.lines("p", "jobs.py"))
    assert sorted(record["function"] for record in wrote.of_kind("p", "enqueue")) == [
        "jobs.parent",
        "jobs.plain",
    ]
    callback = _body("on_success(job, connection, result, *args, **kwargs):")
    assert wrote.lines("first", "jobs.py") == [*PLAIN, callback]
    failed = _body("on_failure(job, connection, type, value, traceback):")
    assert wrote.lines("second", "jobs.py") == [_body("failing():"), failed]
    for slug in ("p", "first", "second"):
        assert wrote.unclosed(slug) == []
        jobs = [record["job"] for record in wrote.of_kind(slug, "enqueue")]
        assert sorted(jobs) == sorted(r["job"] for r in wrote.of_kind(slug, "open") if r["kind"] == "job")


def test_unpickling_the_arguments_is_part_of_the_job(workspace: Workspace, queue: str) -> None:
    enqueue(
        workspace,
        queue,
        """
with playtrace_agent.trace("p"):
    argument = jobs.Argument()
    argument.x = 1
    queue.enqueue(jobs.on_success, argument, None, None)
""",
    )
    work(workspace, queue)
    wrote = workspace.look()
    setstate = JOBS.lstrip("\n").splitlines().index("        self.__dict__.update(state)") + 1
    assert wrote.lines("p", "jobs.py") == [_body("on_success(job, connection, result, *args, **kwargs):"), setstate]


def test_what_redis_refuses_is_withdrawn(workspace: Workspace, queue: str) -> None:
    out = enqueue(
        workspace,
        queue,
        """
down = rq.Queue("work", connection=redis.Redis(unix_socket_path="/nowhere/redis.sock"))
with playtrace_agent.trace("p"):
    try:
        down.enqueue(jobs.plain, 1)
    except redis.ConnectionError:
        print("refused")
""",
    )
    assert out == "refused\n"
    wrote = workspace.look()
    promised = {record["job"] for record in wrote.of_kind("p", "enqueue")}
    assert promised == {record["job"] for record in wrote.of_kind("p", "withdrawn")}


def test_a_slug_that_is_missing_where_it_is_owed(workspace: Workspace, queue: str) -> None:
    enqueue(
        workspace,
        queue,
        """
with playtrace_agent.trace("p"):
    job = queue.enqueue(jobs.plain, 1)
job.meta = {"only": "mine"}
job.save_meta()
with playtrace_agent.trace("q"):
    job = rq.job.Job.create(jobs.plain, (1,), connection=connection)
    job.meta = {}
    queue.enqueue_job(job)
""",
    )
    work(workspace, queue)
    wrote = workspace.look()
    for slug in ("p", "q"):
        owed = wrote.of_kind(slug, "owed")
        assert owed, slug
        assert "profile_trace_slug" in owed[0]["what"]
        # Known from the promise, it is traced nevertheless.
        assert wrote.lines(slug, "jobs.py") == PLAIN


def test_strict_raises_where_the_slug_is_lost(workspace: Workspace, queue: str) -> None:
    out = enqueue(
        workspace,
        queue,
        """
with playtrace_agent.trace("p"):
    job = rq.job.Job.create(jobs.plain, (1,), connection=connection)
    job.meta = {}
    try:
        queue.enqueue_job(job)
    except playtrace_agent.rq.SlugMissingError as error:
        print(error)
""",
        env={"PROFILE_COVERAGE_STRICT": "1"},
    )
    assert "profile_trace_slug" in out


def test_a_timeout_that_hits_the_agent_reaches_the_job(workspace: Workspace, queue: str) -> None:
    out = enqueue(
        workspace,
        queue,
        """
import time
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

def faulty():
    raise OSError("the disk is full")

playtrace_agent.runtime.guard("writing", faulty)
with playtrace_agent.trace("p"):
    try:
        with UnixSignalDeathPenalty(1, JobTimeoutException):
            playtrace_agent.runtime.guard("writing", lambda: time.sleep(30))
        print("swallowed")
    except JobTimeoutException:
        print("timed out")
""",
    )
    assert out == "timed out\n"


def test_a_worker_that_is_switched_off_is_the_plain_one(workspace: Workspace, queue: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import rq, playtrace_agent.rq as ours, sys; before = rq.Worker.perform_job, rq.Queue.enqueue_call;"
            "ours.install(); assert (rq.Worker.perform_job, rq.Queue.enqueue_call) == before;"
            "assert 'playtrace_agent._native' not in sys.modules",
        ],
        env=workspace.environment({"ENABLE_PROFILE_COVERAGE": None}),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
