"""Always on: jobs of RQ, by function, in the shard of their worker."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import redis
from rq_stage import serve
from traffic import ALWAYS, by_route, entered, shards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Workspace

JOBS = """
def real(n):
    return helper(n)


def other(n):
    return helper(n)


def helper(n):
    return n


def profiled(n):
    return n
"""
WORKER = """
import playtrace_agent.rq
playtrace_agent.rq.install()
import sys
import redis
from rq import Queue, {worker} as Worker
connection = redis.Redis.from_url(sys.argv[1])
Worker([Queue("q", connection=connection)], connection=connection).work(burst=True, logging_level="WARNING")
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield from serve(tmp_path)


@pytest.mark.parametrize("worker", ["Worker", "SimpleWorker"])
def test_jobs_stand_in_their_workers_shard_by_function(workspace: Workspace, url: str, worker: str) -> None:
    workspace.write("jobs.py", JOBS)
    workspace.write("driver_worker.py", WORKER.format(worker=worker))
    workspace.run(
        f"""
        import playtrace_agent, playtrace_agent.rq
        from playtrace_agent import runtime
        runtime.start("web")
        playtrace_agent.rq.install_queue_if_present()
        import jobs, redis, rq
        queue = rq.Queue("q", connection=redis.Redis.from_url({url!r}))
        for job in (jobs.real, jobs.other, jobs.real):
            queue.enqueue(job, 1)
        with playtrace_agent.trace("p"):
            queue.enqueue(jobs.profiled, 1)
        """,
        warnings="ignore",
    )
    command = [sys.executable, "driver_worker.py", url]
    subprocess.run(command, env=workspace.environment(ALWAYS), cwd=workspace.app, check=True, timeout=120)
    assert entered(workspace, file="jobs.py") == {"real", "other", "helper"}
    assert len(shards(workspace)) == 1, "not one for each job's process"
    assert by_route(workspace, file="jobs.py") == {
        "job:jobs.real": {"real", "helper"},
        "job:jobs.other": {"other", "helper"},
    }
    with redis.Redis.from_url(url) as connection:
        assert connection.dbsize() > 0
