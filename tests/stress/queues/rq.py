"""RQ: `python -m tests.stress.queues.rq work|simple` is a worker that forks for each job, or does not."""

from __future__ import annotations

import functools
import importlib
import logging
import sys
from collections.abc import Mapping

import playtrace_agent.rq
import redis
import rq
from rq.worker import SimpleWorker

from tests.stress import jobs
from tests.stress.app import SWITCH_SECONDS


def send(query: Mapping[str, str]) -> None:
    """Ask for a job."""
    _queue().enqueue("tests.stress.jobs.job", query, result_ttl=0, job_timeout=60)


@functools.cache
def _queue() -> rq.Queue:
    playtrace_agent.rq.install(role="other")
    return rq.Queue(jobs.RQ_QUEUE, connection=redis.Redis.from_url(jobs.redis_url()))


def work(*, simple: bool) -> None:
    """Work until told to stop."""
    playtrace_agent.rq.install()
    logging.getLogger("rq").setLevel(logging.WARNING)
    if simple:
        jobs.prepare()
    else:
        # The parent gets no threads.
        importlib.import_module("stresswork.kinds")
        sys.setswitchinterval(SWITCH_SECONDS)
    cls = SimpleWorker if simple else rq.Worker
    cls([jobs.RQ_QUEUE], connection=redis.Redis.from_url(jobs.redis_url())).work(logging_level="WARNING")


if __name__ == "__main__":
    work(simple=sys.argv[1] == "simple")
