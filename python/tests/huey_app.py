"""The app of the tests of Huey, copied into a workspace beside its ``leaves``. It knows one line of the agent."""

from __future__ import annotations

import os
import time
from typing import Any

import leaves  # type: ignore[import-not-found]
import redis
from huey import RedisHuey, chord, group
from huey.serializer import SignedSerializer

if os.environ.get("TEST_LINE") != "none":
    import playtrace_agent.huey

    playtrace_agent.huey.install()
if os.environ.get("TEST_FAULTS"):
    import faults  # type: ignore[import-not-found]  # noqa: F401

URL = os.environ["TEST_REDIS"]
# The serializer that has most to say about the bytes.
huey = RedisHuey("app", url=f"{URL}/0", serializer=SignedSerializer(secret="s", compression=True))
elsewhere = RedisHuey("elsewhere", url=f"{URL}/0")
CONNECTION: redis.Redis = redis.Redis.from_url(f"{URL}/2")


def call(name: str) -> None:
    """Call a leaf, and count that."""
    said = getattr(leaves, name)()
    if name == "nobody_beat":
        CONNECTION.incr("beats")
    else:
        CONNECTION.sadd("called", said)


@huey.task()
def plain(name: str, *_: Any) -> None:
    """Call a leaf."""
    call(name)


@elsewhere.task()
def far(name: str) -> None:
    """Call a leaf, where a consumer of another queue is at work."""
    call(name)


@huey.task(retries=2, context=True)
def retried(names: list[str], task: Any = None) -> None:
    """Call one leaf each time, and fail until the last."""
    call(names[2 - task.retries])
    if task.retries:
        raise ValueError("on purpose")


@huey.task(retries=1, retry_delay=1, context=True)
def retried_later(names: list[str], task: Any = None) -> None:
    """Call one leaf each time, and fail the first time."""
    call(names[1 - task.retries])
    if task.retries:
        raise ValueError("on purpose")


@huey.task()
def parent(name: str, children: list[str]) -> None:
    """Enqueue tasks."""
    call(name)
    for child in children:
        plain(child)


@huey.task()
def failing(name: str) -> None:
    """Call a leaf and fail."""
    call(name)
    raise ValueError("on purpose")


@huey.task()
def gated(name: str) -> None:
    """Wait for whoever opens the gate."""
    call(name)
    CONNECTION.set(f"pid:{name}", os.getpid())
    while not CONNECTION.exists(f"open:{name}"):
        time.sleep(0.02)


@huey.periodic_task(lambda _now: bool(os.environ.get("TEST_BEAT")))
def beat() -> None:
    """Be nobody's."""
    call("nobody_beat")


if os.environ.get("TEST_WEB"):

    @huey.task()
    def unknown() -> None:
        """Be known to who enqueues it alone."""


#: What is sent, by kind; each calls as many of the names as the test says.
KINDS = {
    "plain": lambda n: plain(n[0]),
    "delayed": lambda n: plain.schedule((n[0],), delay=1),
    "retried": lambda n: retried(n[:3]),
    "retried_later": lambda n: retried_later(n[:2]),
    "pipeline": lambda n: huey.enqueue(plain.s(n[0]).then(plain, n[1]).then(plain, n[2])),
    "group": lambda n: huey.enqueue(group([plain.s(n[0]), plain.s(n[1])])),
    "chord": lambda n: huey.enqueue(chord([plain.s(n[0]), plain.s(n[1]), plain.s(n[2])], plain.s(n[3]))),
    "parent": lambda n: parent(n[0], n[1:4]),
    "failing": lambda n: huey.enqueue(failing.s(n[0]).error(plain, n[1])),
}
