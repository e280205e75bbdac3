"""Huey: `huey_consumer tests.stress.queues.huey.huey`."""

from __future__ import annotations

from collections.abc import Mapping

import playtrace_agent.huey
from huey import RedisHuey

from tests.stress import jobs

playtrace_agent.huey.install()
huey = RedisHuey("stress", results=False, url=jobs.redis_url())


@huey.on_startup()
def _prepare() -> None:
    jobs.prepare()


@huey.task()
def work(query: Mapping[str, str]) -> None:
    """Do a job."""
    jobs.job(query)


send = work
