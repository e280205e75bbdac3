"""Background jobs: putting them on the queue, and reading the tree that they form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from rq import Queue, get_current_job
from rq.job import Job

from weppdemo.settings import Settings

QUEUE_NAME = "weppdemo"

# How long a job may run, and how long its outcome can be asked for (seconds).
_TIMEOUT = 600
_RESULT_TTL = 24 * 3600

_BAD = ("failed", "stopped", "canceled")
_PENDING = ("queued", "started", "scheduled")


def connect(settings: Settings) -> Redis:
    """A client of the Redis that the settings name; it connects when it is first used."""
    return Redis.from_url(settings.redis_url)


def enqueue(
    connection: Redis, function: Callable[..., Any], *arguments: Any, after: Sequence[Job] = ()
) -> Job:
    """Put a job on the queue; it starts when the jobs in `after` have finished well.

    Inside a job, the new one is noted as its child: after it exists, for whoever reads the tree looks every
    child up, and before the parent ends, so that a finished parent has all its children.
    """
    queue = Queue(QUEUE_NAME, connection=connection)
    job = queue.enqueue(
        function,
        *arguments,
        depends_on=list(after) or None,
        job_timeout=_TIMEOUT,
        result_ttl=_RESULT_TTL,
        failure_ttl=_RESULT_TTL,
    )
    parent = get_current_job(connection)
    if parent is not None:
        parent.meta.setdefault("children", []).append(job.id)
        parent.save_meta()  # type: ignore[no-untyped-call]
    return job


def job_tree(connection: Redis, ident: str) -> dict[str, Any]:
    """A job and all that it enqueued. Raises `NoSuchJobError` for an unknown id.

    Each line runs whatever state the job is in: how often somebody asks, and when, leaves no trace in
    which lines are executed.
    """
    job = Job.fetch(ident, connection=connection)
    status = str(job.get_status().value)
    outcome = job.latest_result()
    return {
        "id": ident,
        "function": job.func_name,
        "args": [repr(argument) for argument in job.args],
        "status": status,
        "result": outcome.return_value if outcome else None,
        "exc_info": outcome.exc_string if outcome else None,
        "worker_name": job.worker_name,
        "children": [job_tree(connection, child) for child in job.get_meta().get("children", [])],
    }


def statuses(tree: dict[str, Any]) -> list[str]:
    """The status of every job of a tree, parents before children."""
    return [tree["status"], *(status for child in tree["children"] for status in statuses(child))]


def overall_status(tree: dict[str, Any]) -> str:
    """`finished` when every job has; `failed` when one has and nothing else is still going; else `started`.

    A job that waits for a failed one stays `deferred` for ever and does not hold the failure back.
    """
    found = statuses(tree)
    failed = any(status in _BAD for status in found) and not any(status in _PENDING for status in found)
    finished = all(status == "finished" for status in found)
    return "failed" if failed else "finished" if finished else "started" if len(set(found)) > 1 else found[0]
