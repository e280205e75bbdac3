"""Celery: `celery -A tests.stress.queues.celery worker`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import playtrace_agent.celery
from celery import Celery, signals

from tests.stress import jobs

playtrace_agent.celery.install()
app = Celery("tests.stress.queues.celery", broker=jobs.redis_url())
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=4)


@app.task
def work(query: Mapping[str, str]) -> None:
    """Do a job."""
    jobs.job(query)


send = work.delay


@signals.worker_init.connect
def _prepare(sender: Any, **_: object) -> None:
    if "prefork" in str(sender.pool_cls):
        # The children prepare themselves.
        importlib.import_module("stresswork.kinds")
    else:
        jobs.prepare()


@signals.worker_process_init.connect
def _prepare_child(**_: object) -> None:
    jobs.prepare()
