"""The app of the tests of Dramatiq, copied into a workspace beside its ``leaves``. It knows one line of the agent."""

from __future__ import annotations

import os
import time
from typing import Any

import dramatiq
import leaves  # type: ignore[import-not-found]
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, CurrentMessage, GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

if os.environ.get("TEST_LINE") != "none":
    import playtrace_agent.dramatiq

    playtrace_agent.dramatiq.install()
if os.environ.get("TEST_FAULTS"):
    import faults  # type: ignore[import-not-found]  # noqa: F401

URL = os.environ["TEST_REDIS"]
broker = RedisBroker(url=f"{URL}/0")
for middleware in (CurrentMessage(), AsyncIO(), GroupCallbacks(RedisBackend(url=f"{URL}/1"))):
    broker.add_middleware(middleware)
dramatiq.set_broker(broker)
CONNECTION: redis.Redis = redis.Redis.from_url(f"{URL}/2")


def call(name: str) -> None:
    """Call a leaf, and count that."""
    CONNECTION.sadd("called", getattr(leaves, name)())


@dramatiq.actor
def plain(name: str) -> None:
    """Call a leaf."""
    call(name)


@dramatiq.actor(max_retries=5, min_backoff=20, max_backoff=50)
def retried(names: list[str]) -> None:
    """Call one leaf each time, and fail until the last."""
    message = CurrentMessage.get_current_message()
    assert message is not None
    retries = message.options.get("retries", 0)
    call(names[retries])
    if retries + 1 < len(names):
        raise ValueError("on purpose")


@dramatiq.actor
def parent(name: str, children: list[str]) -> None:
    """Enqueue messages."""
    call(name)
    for child in children:
        plain.send(child)


@dramatiq.actor
async def coroutine(name: str) -> None:
    """Call a leaf in the loop that all coroutines share."""
    call(name)


@dramatiq.actor
def told(_data: Any, _result: Any, name: str = "") -> None:
    """Be called back."""
    call(name)


@dramatiq.actor(max_retries=0)
def failing(name: str) -> None:
    """Call a leaf and fail."""
    call(name)
    raise ValueError("on purpose")


@dramatiq.actor
def failed(message: dict[str, Any], _error: Any) -> None:
    """Be told of a failure."""
    call(message["options"]["told"])


@dramatiq.actor(max_retries=0)
def gated(name: str) -> None:
    """Wait for whoever opens the gate."""
    call(name)
    CONNECTION.set(f"pid:{name}", os.getpid())
    while not CONNECTION.exists(f"open:{name}"):
        time.sleep(0.02)


@dramatiq.actor(max_age=1)
def old(name: str) -> None:
    """Be too old."""
    call(name)


def _group(names: list[str]) -> None:
    group = dramatiq.group([plain.message(names[0]), plain.message(names[1])])
    group.add_completion_callback(plain.message(names[2]))
    group.run()


#: What is sent, by kind; each calls as many of the names as the test says.
KINDS = {
    "plain": lambda n: plain.send(n[0]),
    "delayed": lambda n: plain.send_with_options(args=(n[0],), delay=300),
    "retried": lambda n: retried.send(n[:3]),
    "pipeline": lambda n: dramatiq.pipeline(
        [plain.message_with_options(args=(name,), pipe_ignore=True) for name in n[:3]]
    ).run(),
    "group": _group,
    "parent": lambda n: parent.send(n[0], n[1:4]),
    "coroutine": lambda n: coroutine.send(n[0]),
    "failing": lambda n: failing.send_with_options(args=(n[0],), told=n[1], on_failure="failed"),
}
