"""arq: `arq tests.stress.queues.arq.WorkerSettings`, whose jobs are coroutines."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import playtrace_agent.arq
from arq.connections import ArqRedis, RedisSettings, create_pool

from tests.stress import jobs

playtrace_agent.arq.install()


async def work(_ctx: dict[str, Any], query: dict[str, str]) -> None:
    """Do a job."""
    await jobs.coroutine(query)


async def _prepare(_ctx: dict[str, Any]) -> None:
    jobs.prepare(coroutines=True)


class WorkerSettings:
    """What arq's worker runs."""

    functions = (work,)
    on_startup = _prepare
    redis_settings = RedisSettings.from_dsn(jobs.redis_url())
    max_jobs = 8
    max_tries = 1
    keep_result = 0
    poll_delay = 0.02
    # A job's record is there before arq is through with it: who is told to end then would cancel it.
    job_completion_wait = 60


def send(query: dict[str, str]) -> None:
    """Ask for a job, from code that is not asynchronous: a task of the loop, which begins with the context of now."""
    loop, pool = _connected()
    loop.run_until_complete(pool.enqueue_job("work", query))


@functools.cache
def _connected() -> tuple[asyncio.AbstractEventLoop, ArqRedis]:
    loop = asyncio.new_event_loop()
    return loop, loop.run_until_complete(create_pool(WorkerSettings.redis_settings))
