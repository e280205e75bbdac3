"""The app of the tests of Celery, copied into a workspace beside its ``leaves``. It knows one line of the agent."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import leaves  # type: ignore[import-not-found]
import redis
from celery import Celery, chain, chord, group

if os.environ.get("TEST_LINE") != "none":
    import playtrace_agent.celery

    playtrace_agent.celery.install()
if os.environ.get("TEST_FAULTS"):
    import faults  # type: ignore[import-not-found]  # noqa: F401

URL = os.environ["TEST_REDIS"]
app = Celery("celery_app", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    task_publish_retry=False,
    task_protocol=int(os.environ.get("TEST_PROTOCOL", "2")),
    # Seconds. Once in as many a worker looks whether it is asked to end.
    broker_transport_options={"visibility_timeout": 3600, "polling_interval": 0.1},
)
if os.environ.get("TEST_BEAT"):
    app.conf.beat_schedule = {"nobody's": {"task": "celery_app.plain", "schedule": 0.2, "args": ("nobody_beat",)}}
CONNECTION = redis.Redis.from_url(f"{URL}/2")


def call(name: str) -> str:
    """Call a leaf, and count that."""
    said: str = getattr(leaves, name)()
    if name != "nobody_beat":
        CONNECTION.sadd("called", name)
    else:
        CONNECTION.incr("beats")
    return said


@app.task
def plain(name: str) -> str:
    """Call a leaf."""
    return call(name)


@app.task(bind=True, max_retries=5)
def retried(self: Any, names: list[str]) -> str:
    """Call one leaf each time, and ask for another time until the last."""
    said = call(names[self.request.retries])
    if self.request.retries + 1 < len(names):
        raise self.retry(countdown=0.05)
    return said


@app.task(bind=True)
def retried_elsewhere(self: Any, name: str) -> None:
    """Ask for another time, in a queue that no worker looks at."""
    call(name)
    raise self.retry(queue="elsewhere", countdown=0)


@app.task(bind=True)
def replaced(self: Any, name: str, other: str) -> str:
    """Be replaced by another task, of the same id."""
    call(name)
    raise self.replace(plain.si(other))


@app.task
def parent(name: str, children: list[str]) -> None:
    """Send tasks."""
    call(name)
    for child in children:
        plain.delay(child)


@app.task
def failing(name: str) -> None:
    """Call a leaf and fail."""
    call(name)
    raise ValueError("on purpose")


@app.task
def errback(_request: Any, _error: Any, _traceback: Any, name: str) -> None:
    """Be told of a failure."""
    call(name)


@app.task(acks_late=True, reject_on_worker_lost=False)
def gated(name: str) -> str:
    """Wait for whoever opens the gate."""
    said = call(name)
    CONNECTION.set(f"pid:{name}", os.getpid())
    while not CONNECTION.exists(f"open:{name}"):
        time.sleep(0.02)
    return said


@app.task(bind=True)
def rejecting(self: Any, name: str) -> None:
    """Refuse itself, after its work has begun."""
    from celery.exceptions import Reject

    call(name)
    raise Reject("on purpose", requeue=False)


#: What is sent, by kind; each calls as many of the names as the test says.
KINDS = {
    "plain": lambda n: plain.delay(n[0]),
    "by_name": lambda n: app.send_task("celery_app.plain", (n[0],)),
    "retried": lambda n: retried.delay(n[:3]),
    "chain": lambda n: chain(plain.si(n[0]), plain.si(n[1]), plain.si(n[2])).delay(),
    "group": lambda n: group(plain.si(name) for name in n[:3]).delay(),
    "chord": lambda n: chord([plain.si(n[0]), plain.si(n[1]), plain.si(n[2])], plain.si(n[3])).delay(),
    "countdown": lambda n: plain.apply_async((n[0],), countdown=0.3),
    "eta": lambda n: plain.apply_async((n[0],), eta=datetime.now(UTC) + timedelta(seconds=0.4)),
    "parent": lambda n: parent.delay(n[0], n[1:4]),
    "replaced": lambda n: replaced.delay(n[0], n[1]),
    "failing": lambda n: failing.apply_async((n[0],), link_error=errback.s(n[1]).set(immutable=False)),
    "linked": lambda n: plain.apply_async((n[0],), link=plain.si(n[1])),
    "rejecting": lambda n: rejecting.delay(n[0]),
}
# Celery's proxies of tasks are made once, but not by several threads at once.
app.finalize()
