"""The app of the tests of arq, copied into a workspace beside its ``leaves``. It knows one line of the agent."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import leaves  # type: ignore[import-not-found]
import redis
from arq import Retry, cron
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import func

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

if os.environ.get("TEST_LINE") != "none":
    import playtrace_agent.arq

    playtrace_agent.arq.install()
if os.environ.get("TEST_FAULTS"):
    import faults  # type: ignore[import-not-found]  # noqa: F401

URL = os.environ["TEST_REDIS"]
CONNECTION: redis.Redis = redis.Redis.from_url(f"{URL}/2")


def call(name: str) -> None:
    """Call a leaf, and count that."""
    said = getattr(leaves, name)()
    if name == "nobody_beat":
        CONNECTION.incr("beats")
    else:
        CONNECTION.sadd("called", said)


async def plain(_ctx: dict[str, Any], name: str) -> None:
    """Call a leaf between two pieces."""
    await asyncio.sleep(0.01)
    call(name)
    await asyncio.sleep(0.01)


async def retried(ctx: dict[str, Any], names: list[str]) -> None:
    """Call one leaf each time, and ask for another time until the last."""
    call(names[ctx["job_try"] - 1])
    if ctx["job_try"] < len(names):
        raise Retry(defer=0.05)


async def parent(ctx: dict[str, Any], name: str, children: list[str]) -> None:
    """Enqueue jobs."""
    call(name)
    for child in children:
        await ctx["redis"].enqueue_job("plain", child)


async def threaded(_ctx: dict[str, Any], name: str, other: str) -> None:
    """Call a leaf in a thread, and one in a task."""
    await asyncio.to_thread(call, name)
    await asyncio.create_task(_calling(other))


async def _calling(name: str) -> None:
    call(name)


async def failing(_ctx: dict[str, Any], name: str) -> None:
    """Call a leaf and fail."""
    call(name)
    raise ValueError("on purpose")


async def gated(_ctx: dict[str, Any], name: str) -> None:
    """Wait for whoever opens the gate."""
    call(name)
    CONNECTION.set(f"pid:{name}", os.getpid())
    await asyncio.sleep(600)


async def beat(_ctx: dict[str, Any]) -> None:
    """Be nobody's."""
    call("nobody_beat")


class WorkerSettings:
    """What `arq arq_app.WorkerSettings` runs."""

    functions = (plain, func(retried, max_tries=5), parent, threaded, failing, gated)
    cron_jobs = (cron("arq_app.beat", second=set(range(60))),) if os.environ.get("TEST_BEAT") else ()
    redis_settings = RedisSettings.from_dsn(f"{URL}/0")
    poll_delay = 0.05
    max_jobs = 20
    allow_abort_jobs = True
    retry_jobs = True


def send(work: Callable[[ArqRedis], Coroutine[Any, Any, Any]]) -> Any:
    """Enqueue something from code that is not asynchronous."""

    async def sending() -> Any:
        pool = await create_pool(WorkerSettings.redis_settings)
        try:
            return await work(pool)
        finally:
            await pool.aclose()

    return asyncio.run(sending())


#: What is sent, by kind; each calls as many of the names as the test says.
KINDS: dict[str, Callable[[list[str]], Any]] = {
    "plain": lambda n: send(lambda pool: pool.enqueue_job("plain", n[0])),
    "deferred": lambda n: send(lambda pool: pool.enqueue_job("plain", n[0], _defer_by=0.3)),
    "retried": lambda n: send(lambda pool: pool.enqueue_job("retried", n[:3])),
    "parent": lambda n: send(lambda pool: pool.enqueue_job("parent", n[0], n[1:4])),
    "threaded": lambda n: send(lambda pool: pool.enqueue_job("threaded", n[0], n[1])),
    "failing": lambda n: send(lambda pool: pool.enqueue_job("failing", n[0])),
}
