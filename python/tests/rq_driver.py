"""The processes of the tests of RQ: one that enqueues, as a web process does, and a worker.

They run as a copy beside the app's jobs.

``rq_driver.py enqueue URL CASE…``, ``rq_driver.py cron URL`` or ``rq_driver.py work URL KIND [burst]``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import redis
import rq.worker
from rq.queue import Queue

if TYPE_CHECKING:
    from rq.job import Job

RUN = "r1"


def enqueue(url: str, names: list[str]) -> None:
    """Enqueue cases, each as traced work and as its untraced twin."""
    import rq_cases

    import playtrace_agent
    import playtrace_agent.rq
    from playtrace_agent import runtime

    assert runtime.start("web")
    playtrace_agent.rq.install_queue_if_present()
    connection = redis.Redis.from_url(url)
    queue = Queue("work", connection=connection)
    for name in names:
        case = rq_cases.BY_NAME[name]
        case.enqueue(queue, f"{name}-twin")
        with playtrace_agent.trace(name, RUN):
            case.enqueue(queue, f"{name}-traced")
    connection.close()


def cron(url: str) -> None:
    """Enqueue a job as RQ's cron does, with the agent on."""
    import playtrace_agent.rq
    from playtrace_agent import runtime

    assert runtime.start("other")
    playtrace_agent.rq.install_queue_if_present()
    connection = redis.Redis.from_url(url)
    scheduler = importlib.import_module("rq.cron").CronScheduler(connection=connection)
    scheduler.register(importlib.import_module("jobs").plain, queue_name="work", args=(1,), interval=60)
    scheduler.enqueue_jobs()
    connection.close()


class Impatient(rq.worker.Worker):
    """Kills a work horse that is over its time at the second look, not after a minute."""

    def maintain_heartbeats(self, job: Job, *args: object) -> None:
        """Look at the horse."""
        assert job.started_at is not None
        job.started_at = job.started_at.replace(year=2000)
        super().maintain_heartbeats(job, *args)


def work(url: str, kind: str, *, burst: bool) -> None:
    """Be a worker, with a scheduler unless it ends when there is nothing to do."""
    import playtrace_agent.rq

    playtrace_agent.rq.install()
    if kind == "pool":
        from rq.worker_pool import WorkerPool

        pool = WorkerPool(["work"], connection=redis.Redis.from_url(url), num_workers=2)
        pool.start(burst=burst, logging_level="WARNING")
        return
    kinds = {
        "forking": rq.worker.Worker,
        "simple": rq.worker.SimpleWorker,
        "spawning": getattr(rq.worker, "SpawnWorker", None),
        "impatient": Impatient,
    }
    worker_class = kinds[kind]
    assert worker_class is not None
    worker = worker_class(["work"], connection=redis.Redis.from_url(url), name="w1", job_monitoring_interval=1)
    worker.work(burst=burst, with_scheduler=not burst, logging_level="WARNING")


if __name__ == "__main__":
    if sys.argv[1] == "enqueue":
        enqueue(sys.argv[2], sys.argv[3:])
    elif sys.argv[1] == "cron":
        cron(sys.argv[2])
    else:
        work(sys.argv[2], sys.argv[3], burst=sys.argv[4:] == ["burst"])
