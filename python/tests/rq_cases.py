"""What RQ can do with a job, one case each: how traced work enqueues it, and what is known in advance to come of it.

Each case is enqueued twice, by traced work of a profile with the case's name, and by nobody as its twin. What the app
sees of both must be equal; of the twin nothing may be in the data. Read by the test, and by the process that enqueues
(``rq_driver.py``).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import rq.exceptions
import rq.worker
from rq.job import Callback, Dependency, Job
from rq.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PARAMETERS = inspect.signature(Queue.enqueue_call).parameters
#: What the installed RQ can do that others can't.
FEATURES = frozenset(
    name
    for name, there in {
        "repeat": hasattr(rq, "Repeat"),
        "returned retry": hasattr(rq.worker.BaseWorker, "handle_job_retry"),
        "unique": "unique" in _PARAMETERS,
        "rate limit": "rate_limit" in _PARAMETERS,
        "spawn": hasattr(rq.worker, "SpawnWorker"),
    }.items()
    if there
)


@dataclass(frozen=True)
class Done:
    """What becomes of one job."""

    result: Any = None
    status: str = "finished"
    #: How often it is performed, by a count that the app keeps in Redis.
    executions: int = 1
    #: What its failure says.
    error: str = ""


@dataclass(frozen=True)
class Case:
    """Something that RQ can do."""

    name: str
    #: Enqueues the case's jobs; their ids are the second argument and, for more than one, an ending.
    enqueue: Callable[[Queue, str], Any]
    #: Tags in ``rq_app.py`` of the lines that the case executes, as one word.
    tags: str
    #: By the ending of its id, each job of the case.
    jobs: Mapping[str, Done] = field(default_factory=lambda: {"": Done(2)})
    verdict: str = "complete"
    #: What the verdict's reason says of the job; the verdict has exactly one for each.
    reasons: tuple[str, ...] = ()
    #: One of ``FEATURES``.
    needs: str = ""
    #: Done by the process that enqueues.
    at_once: bool = False
    #: Functions of the callbacks that were called.
    called: str = ""

    def possible(self) -> bool:
        """Say whether the installed RQ can do it."""
        return not self.needs or self.needs in FEATURES


def _many(queue: Queue, job: str) -> None:
    datas = [Queue.prepare_data("jobs.plain", (n,), job_id=f"{job}-{n}") for n in range(2)]
    queue.enqueue_many(datas)


def _scheduled_at(queue: Queue, job: str) -> None:
    queue.enqueue_at(datetime.now(UTC) + timedelta(seconds=1), "jobs.plain", 1, job_id=job)


def _dependents(queue: Queue, job: str) -> None:
    first = queue.enqueue("jobs.plain", 1, job_id=f"{job}-first")
    queue.enqueue("jobs.flaky", 0, job_id=f"{job}-second", depends_on=first)
    bad = queue.enqueue("jobs.failing", job_id=f"{job}-bad")
    queue.enqueue("jobs.plain", 5, job_id=f"{job}-anyway", depends_on=Dependency(jobs=[bad, first], allow_failure=True))


def _by_hand(queue: Queue, job: str) -> None:
    queue.enqueue_job(Job.create("jobs.plain", (1,), connection=queue.connection, id=job, meta={"mine": 1}))


def _saved_again(queue: Queue, job: str) -> None:
    made = Job.create("jobs.plain", (1,), connection=queue.connection, id=job)
    made.save()
    made.meta["mine"] = 1
    made.save()
    queue.enqueue_job(made)


def _unique(queue: Queue, job: str) -> None:
    queue.enqueue("jobs.plain", 1, job_id=job, unique=True)
    for _ in range(2):
        # Not in every version of RQ, as `unique` isn't.
        refused: Any = vars(rq.exceptions)["DuplicateJobError"]
        with contextlib.suppress(refused):
            queue.enqueue("jobs.plain", 1, job_id=job, unique=True)
            raise AssertionError("RQ took a job twice")


def _unique_scheduled(queue: Queue, job: str) -> None:
    made = queue.create_job("jobs.plain", args=(1,), job_id=job)
    schedule: Any = queue.schedule_job
    schedule(made, datetime.now(UTC) + timedelta(seconds=1), unique=True)


def _meta_replaced(queue: Queue, job: str) -> None:
    made = queue.enqueue("jobs.plain", 1, job_id=job)
    made.meta = {"mine": "only"}
    made.save_meta()  # type: ignore[no-untyped-call]


def _in_process(queue: Queue, job: str) -> None:
    here = Queue(queue.name, connection=queue.connection, is_async=False)
    here.enqueue("jobs.plain", 1, job_id=f"{job}-good", on_success=Callback("jobs.on_success"))
    here.enqueue("jobs.failing", job_id=f"{job}-bad", on_failure=Callback("jobs.on_failure"))


def _repeat(times: int, interval: int) -> Any:
    return rq.Repeat(times=times, interval=interval)


def _rate_limited(queue: Queue, job: str) -> None:
    # Not in every version of RQ.
    limit = importlib.import_module("rq.rate_limit").RateLimit("one at a time", 1)
    for n in range(3):
        queue.enqueue("jobs.plain", n, job_id=f"{job}-{n}", rate_limit=limit)


_PURPOSE = "ValueError: on purpose"
_OWED = "not traced: job {job} came to its worker without profile_trace_slug: its meta was replaced"
_LOST = "not traced: job {job} ({function}) is enqueued by work of profile {slug}, but its meta lost profile_trace_slug"

CASES = [
    Case("plain", lambda queue, job: queue.enqueue("jobs.plain", 1, job_id=job, meta={"mine": 1}), "job count plain"),
    Case(
        "failing",
        lambda queue, job: queue.enqueue("jobs.failing", job_id=job),
        "job count failing",
        {"": Done(status="failed", error=_PURPOSE)},
    ),
    Case(
        "parent",
        lambda queue, job: queue.enqueue("jobs.parent", job_id=job),
        "job count parent plain",
        {"": Done("{job}-child"), "-child": Done(3)},
    ),
    Case(
        "coroutine",
        lambda queue, job: queue.enqueue("jobs.coroutine", job_id=job),
        "job count coroutine inner",
        {"": Done(5)},
    ),
    Case(
        "program",
        lambda queue, job: queue.enqueue("jobs.program", job_id=job),
        "job count program",
        {"": Done("tool\n")},
    ),
    Case("many", _many, "job count plain", {"-0": Done(1), "-1": Done(2)}),
    Case(
        "scheduled-in",
        lambda queue, job: queue.enqueue_in(timedelta(seconds=1), "jobs.plain", 1, job_id=job),
        "job count plain",
    ),
    Case("scheduled-at", _scheduled_at, "job count plain"),
    Case(
        "repeated",
        lambda queue, job: queue.enqueue("jobs.plain", 1, job_id=job, repeat=_repeat(2, 1)),
        "job count plain",
        {"": Done(2, executions=3)},
        needs="repeat",
    ),
    Case(
        "repeated-at-once",
        lambda queue, job: queue.enqueue("jobs.plain", 1, job_id=job, repeat=_repeat(2, 0)),
        "job count plain",
        {"": Done(2, executions=3)},
        needs="repeat",
    ),
    Case(
        "dependents",
        _dependents,
        "job count plain flaky failing -not-yet",
        {
            "-first": Done(2),
            "-second": Done(10),
            "-bad": Done(status="failed", error=_PURPOSE),
            "-anyway": Done(6),
        },
    ),
    Case(
        "retried",
        lambda queue, job: queue.enqueue("jobs.flaky", 2, job_id=job, retry=rq.Retry(max=3)),
        "job count flaky",
        {"": Done(30, executions=3)},
    ),
    Case(
        "retried-later",
        lambda queue, job: queue.enqueue("jobs.flaky", 1, job_id=job, retry=rq.Retry(max=2, interval=1)),
        "job count flaky",
        {"": Done(20, executions=2)},
    ),
    Case(
        "retried-in-vain",
        lambda queue, job: queue.enqueue(
            "jobs.failing", job_id=job, retry=rq.Retry(max=1), on_failure=Callback("jobs.on_failure")
        ),
        "job count failing on_failure",
        {"": Done(status="failed", executions=2, error=_PURPOSE)},
        called="failure",
    ),
    Case(
        "asked-again",
        lambda queue, job: queue.enqueue("jobs.asks_again", job_id=job),
        "job count asks_again",
        {"": Done("at last", executions=3)},
        needs="returned retry",
    ),
    Case(
        "timeout",
        lambda queue, job: queue.enqueue("jobs.slow", job_id=job, job_timeout=1),
        "job count slow",
        {"": Done(status="failed", error="JobTimeoutException")},
    ),
    Case(
        "succeeded",
        lambda queue, job: queue.enqueue("jobs.plain", 1, job_id=job, on_success=Callback("jobs.on_success")),
        "job count plain on_success",
        called="success",
    ),
    Case("by-hand", _by_hand, "job count plain"),
    Case("saved-again", _saved_again, "job count plain"),
    Case("unique", _unique, "job count plain", needs="unique"),
    Case("unique-scheduled", _unique_scheduled, "job count plain", needs="unique"),
    Case(
        "rate-limited",
        _rate_limited,
        "job count plain",
        {"-0": Done(1), "-1": Done(2), "-2": Done(3)},
        needs="rate limit",
    ),
    Case(
        "in-process",
        _in_process,
        "job count plain failing on_success on_failure",
        {"-good": Done(2), "-bad": Done(status="failed", error=_PURPOSE)},
        at_once=True,
    ),
    Case("meta-replaced", _meta_replaced, "job count plain", verdict="failed", reasons=(_OWED,)),
    Case(
        "meta-replaced-by-job",
        lambda queue, job: queue.enqueue("jobs.forgetful", job_id=job, retry=rq.Retry(max=1)),
        "job count forgetful flaky",
        {"": Done(20, executions=2)},
        verdict="failed",
        reasons=(_LOST.replace("{function}", "jobs.forgetful"), _OWED),
    ),
    Case(
        "meta-replaced-by-callback",
        lambda queue, job: queue.enqueue(
            "jobs.flaky", 1, job_id=job, retry=rq.Retry(max=1), on_failure=Callback("jobs.replacing")
        ),
        "job count flaky replacing",
        {"": Done(20, executions=2)},
        verdict="failed",
        reasons=(_LOST.replace("{function}", "jobs.flaky"), _OWED),
    ),
]

#: Jobs that the test interferes with (``test_rq_ends.py``).
INTERRUPTED = [
    Case(
        "stopped",
        lambda queue, job: queue.enqueue("jobs.waiting", job_id=job, on_stopped=Callback("jobs.on_stopped")),
        "on_stopped",
        {"": Done(status="stopped", error="stopped by user")},
        called="stopped",
    ),
    Case(
        "killed",
        lambda queue, job: queue.enqueue("jobs.waiting", job_id=job),
        "",
        {"": Done(status="failed", error="Work-horse terminated unexpectedly")},
    ),
    Case(
        "killed-and-retried",
        lambda queue, job: queue.enqueue("jobs.stubborn", job_id=job, retry=rq.Retry(max=1)),
        "job count again",
        {"": Done("at last", executions=2)},
    ),
    Case(
        "hanging",
        lambda queue, job: queue.enqueue("jobs.stubborn", job_id=job, retry=rq.Retry(max=1), job_timeout=1),
        "job count again",
        {"": Done("at last", executions=2)},
    ),
    Case(
        "waiting",
        lambda queue, job: queue.enqueue("jobs.waiting", job_id=job),
        "job count waiting reached",
        {"": Done("done")},
    ),
]
BY_NAME = {case.name: case for case in [*CASES, *INTERRUPTED]}
