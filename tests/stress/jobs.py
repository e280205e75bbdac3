"""What the workers of all queues do."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.stress import green, support
from tests.stress.app import SWITCH_SECONDS

# In the environment: where the stress's own Redis listens.
PORT = "STRESS_REDIS_PORT"
# Where RQ's jobs wait, and what the name of its list of failed ones ends in.
RQ_QUEUE = "stress"

_recording: support.Recording | None = None


def redis_url() -> str:
    """Return the address of the stress's own Redis."""
    return f"redis://127.0.0.1:{os.environ[PORT]}/0"


def prepare(*, coroutines: bool = False) -> None:
    """Prepare a process that is going to do jobs, and does not fork any more: a fork copies no threads."""
    # A job must not find an import undone.
    importlib.import_module("stresswork.coroutines" if coroutines else "stresswork.kinds")
    sys.setswitchinterval(SWITCH_SECONDS)
    # Greenlets of one thread can't each run a loop.
    support.start(loop=not green.patched())


def job(query: Mapping[str, str]) -> None:
    """Do a job and record it."""
    from stresswork import kinds  # type: ignore[import-not-found]

    profile = int(query["profile"])
    ticket = support.Ticket.parse(profile, query)
    with _recorded(query) as said:
        said.append(kinds.job(profile, int(query["key"]), query["features"].split("."), ticket))
        # A work horse ends with `os._exit`: what its pool has not done by then is never done.
        support.drain()


async def coroutine(query: dict[str, str]) -> None:
    """Do a job that is a coroutine, and record it."""
    from tests.stress import asgi_app

    with _recorded(query) as said:
        said.append(await asgi_app.work(query))
        await asgi_app.afterwards(query)


@contextmanager
def _recorded(query: Mapping[str, str]) -> Iterator[list[str]]:
    """Record a job: when and where, and what was said, or that it failed."""
    global _recording
    if _recording is None:
        _recording = support.Recording()
    mark = _recording.begin(query)
    said: list[str] = []
    try:
        yield said
    finally:
        _recording.end(mark, said[0] if said else "failed")
