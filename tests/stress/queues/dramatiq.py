"""Dramatiq: `dramatiq tests.stress.queues.dramatiq`."""

from __future__ import annotations

from collections.abc import Mapping

import dramatiq
import playtrace_agent.dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.stress import jobs

playtrace_agent.dramatiq.install()


class _Prepared(dramatiq.Middleware):
    """Prepares the processes of a worker."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        jobs.prepare()


broker = RedisBroker(url=jobs.redis_url())
broker.add_middleware(_Prepared())
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0)
def work(query: Mapping[str, str]) -> None:
    """Do a job."""
    jobs.job(query)


send = work.send
