"""The app whose jobs the tests of RQ run. A tag at a line's end names the pieces of work that execute the line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from rq import Queue, Retry, get_current_job

if TYPE_CHECKING:
    from redis import Redis
    from rq.job import Job


def current() -> Job:
    job = get_current_job()  # [job]
    assert job is not None  # [job]
    return job  # [job]


def count() -> Any:
    """Count an execution where the test sees it, without help from the agent."""
    job = current()  # [count]
    return job.connection.incr("executions:" + job.id)  # [count]


def reached(name: str) -> None:
    """Say that the running job has come to a point, and wait until the test lets it go on."""
    job = current()  # [reached]
    job.connection.set("pid:" + job.id, os.getpid())  # [reached]
    job.connection.blpop(["gate:" + name], 30)  # [reached]


def plain(n: int) -> int:
    count()  # [plain]
    return inner(n)  # [plain]


def inner(n: int) -> int:
    return n + 1  # [plain inner]


def failing() -> None:
    count()  # [failing]
    raise ValueError("on purpose")  # [failing]


def flaky(failures: int) -> int:
    executions: int = count()  # [flaky]
    if executions <= failures:  # [flaky]
        raise ValueError("not yet")  # [flaky not-yet]
    return late(executions)  # [flaky]


def late(n: int) -> int:
    return n * 10  # [flaky]


def asks_again() -> Retry | str:
    if count() < 3:  # [asks_again]
        return Retry(max=5)  # [asks_again]
    return "at last"  # [asks_again]


def forgetful() -> int:
    job = current()  # [forgetful]
    job.meta = {"mine": "only"}  # [forgetful]
    job.save_meta()  # type: ignore[no-untyped-call]  # [forgetful]
    return flaky(1)  # [forgetful]


def parent() -> str:
    count()  # [parent]
    job = current()  # [parent]
    child = Queue(job.origin, connection=job.connection).enqueue("jobs.plain", 2, job_id=job.id + "-child")  # [parent]
    return str(child.id)  # [parent]


async def coroutine() -> int:
    count()  # [coroutine]
    await asyncio.sleep(0)  # [coroutine]
    return await asyncio.to_thread(inner, 4)  # [coroutine]


def program() -> str:
    count()  # [program]
    tool = os.path.join(os.path.dirname(__file__), "tool.py")  # [program]
    return subprocess.check_output([sys.executable, tool], text=True)  # [program]


def slow() -> str:
    count()  # [slow]
    time.sleep(30)  # [slow]
    return "never"


def on_success(job: Job, connection: Redis, *result: object, **more: object) -> None:
    connection.set("called:" + job.id, "success")  # [on_success]


def on_failure(job: Job, connection: Redis, *error: object) -> None:
    connection.set("called:" + job.id, "failure")  # [on_failure]


def replacing(job: Job, connection: Redis, *error: object) -> None:
    job.meta = {"mine": "only"}  # [replacing]


def on_stopped(job: Job, connection: Redis) -> None:
    connection.set("called:" + job.id, "stopped")  # [on_stopped]


def waiting() -> str:
    count()  # [waiting]
    reached("waiting")  # [waiting]
    return "done"  # [waiting]


def stubborn() -> str:
    """Wait where no signal is taken, as code in C does that never comes back to the interpreter. Once."""
    if count() > 1:  # [stubborn again]
        return "at last"  # [again]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # [stubborn]
    reached("stubborn")  # [stubborn]
    return "let go"
