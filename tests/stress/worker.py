"""The stress app's RQ side: a worker process, and what enqueues its jobs.

`python -m tests.stress.worker work|simple` is a worker; `enqueue FILE` puts one job into the queue for each line.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import playtrace_agent
import playtrace_agent.rq
import redis
import rq
from rq.worker import SimpleWorker

from tests.stress import support
from tests.stress.app import SWITCH_SECONDS

PORT = "STRESS_REDIS_PORT"
QUEUE = "stress"

_recording: support.Recording | None = None


def job(query: Mapping[str, str]) -> None:
    """Do a job and record it."""
    global _recording
    from stresswork import kinds  # type: ignore[import-not-found]

    if _recording is None:
        _recording = support.Recording()
    mark = _recording.begin(query)
    profile = int(query["profile"])
    ticket = support.Ticket.parse(profile, query)
    answer = kinds.job(profile, int(query["key"]), query["features"].split("."), ticket)
    # A work horse ends with `os._exit`: what its pool has not done by then is never done.
    support.drain()
    _recording.end(mark, answer)


def connect() -> redis.Redis:
    """Connect to the stress's own Redis."""
    return redis.Redis(port=int(os.environ[PORT]))


def work(*, simple: bool) -> None:
    """Work until told to stop."""
    # A job must not find an import undone: the measured package's, and that of this file, which is `__main__` here.
    for name in ("stresswork.kinds", "tests.stress.worker"):
        importlib.import_module(name)
    logging.getLogger("rq").setLevel(logging.WARNING)
    playtrace_agent.rq.install()
    sys.setswitchinterval(SWITCH_SECONDS)
    if simple:
        support.start()
    # A forking worker's parent gets no threads: a fork copies none.
    cls = SimpleWorker if simple else rq.Worker
    cls([QUEUE], connection=connect()).work(logging_level="WARNING")


def enqueue(file: Path) -> None:
    """Enqueue as traced work of the profile, the way that an app does: the agent tags the job."""
    playtrace_agent.rq.install(role="other")
    queue = rq.Queue(QUEUE, connection=connect())
    for line in file.read_text(encoding="utf-8").splitlines():
        slug, query = json.loads(line)
        with playtrace_agent.trace(slug, query["run"]) if query["run"] else nullcontext():
            queue.enqueue("tests.stress.worker.job", query, result_ttl=0, job_timeout=60)


if __name__ == "__main__":
    if sys.argv[1] == "enqueue":
        enqueue(Path(sys.argv[2]))
    else:
        work(simple=sys.argv[1] == "simple")
