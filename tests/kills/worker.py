"""The RQ side: `python -m tests.kills.worker work` is a worker that forks a work horse for each job.

`enqueue` puts the jobs into the queue that its standard input names, one a line, and answers each with a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import playtrace_agent
import playtrace_agent.rq
import redis
import rq

from tests.kills import page

PORT = "KILLS_REDIS_PORT"
QUEUE = "kills"


def job(work: int, names: Sequence[str]) -> None:
    """Do a piece of work."""
    page.mapped().do(work, names)


def _connect() -> redis.Redis:
    return redis.Redis(port=int(os.environ[PORT]))


def _work() -> None:
    # Jobs must not find it to be imported still.
    page.mapped()
    from tests.kills import worker  # noqa: F401

    playtrace_agent.rq.install()
    rq.Worker([QUEUE], connection=_connect()).work(logging_level="WARNING")


def _enqueue() -> None:
    playtrace_agent.rq.install(role="other")
    queue = rq.Queue(QUEUE, connection=_connect())
    for line in sys.stdin:
        slug, run, work, names = json.loads(line)
        with playtrace_agent.trace(slug, run):
            made = queue.enqueue("tests.kills.worker.job", work, names, result_ttl=0, failure_ttl=1)
        print(made.id, flush=True)


if __name__ == "__main__":
    {"work": _work, "enqueue": _enqueue}[sys.argv[1]]()
