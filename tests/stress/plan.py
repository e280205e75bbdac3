"""What is sent: which request belongs to which profile and run, and what it has the app do.

Requests come in rounds of `KEYS`. Within a round no two requests have the same key, and nearly everything that the app
does for a request executes lines that only its key reaches. So each line of a round's shared run can be told to be one
request's, whoever else ran the same code object; a request with a run of its own is compared as a whole besides.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

# Fewer keys make the rounds, and with them the runs, shorter.
KEYS = 128
PROFILES = 8
# Of four requests, one carries no header.
UNTRACED = 4
# Of the traced ones, as many as one in this has a run of its own.
ALONE = 4
# What a request can have the app do, besides the plain work that each does; `work/kinds.py` tells what each is.
FEATURES = (
    "thread",
    "timer",
    "pool",
    "tasks",
    "loop",
    "across",
    "handed",
    "late",
    "callbacks",
    "errors",
    "switched",
    "forgotten",
    "stream",
)

# What it can do where threads are greenlets, which can't have event loops of their own.
GREEN = (
    *(name for name in FEATURES if name not in ("tasks", "loop", "across")),
    *("greenlet", "green_pool", "native", "turns", "killed", "linked"),
)

# What it can do, besides, where it is a coroutine of the server's loop (or the worker's).
ASYNC = (*FEATURES, "awaited", "grouped", "timed_out", "channel", "round_trip", "afterwards")

# The same with SQLAlchemy's synchronous code between the loop and a driver's thread.
BRIDGE = ("run_sync", "session", "spawned", "listener", "parameter", "function")
BRIDGED = (*BRIDGE, "awaited", "grouped", "timed_out", "pool", "switched", "errors")

# One more, for a load of its own: it forks a server that has threads, which CPython warns of.
FORKED = "forked"

# What the executed lines depend on: profile, key, features.
Work = tuple[int, int, tuple[str, ...]]


@dataclass(frozen=True)
class Request:
    """One request, or one job."""

    number: int
    profile: int
    key: int
    traced: bool
    # Whether it has a run of its own.
    alone: bool
    features: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The profile's name."""
        return f"stress-{self.profile}"

    @property
    def inner_slug(self) -> str:
        """The profile that a part of its work is traced for."""
        return f"inner-{self.profile}"

    @property
    def run(self) -> str:
        """The token of the run that it belongs to."""
        return f"alone-{self.number}" if self.alone else f"round-{self.number // KEYS}"

    @property
    def work(self) -> Work:
        """What decides which lines it executes."""
        return self.profile, self.key, self.features

    @property
    def query(self) -> dict[str, str]:
        """The parameters that tell the app what to do."""
        return {
            "number": str(self.number),
            "profile": str(self.profile),
            "key": str(self.key),
            "features": ".".join(self.features),
            "run": self.run if self.traced else "",
            "alone": "1" if self.traced and self.alone else "",
        }


def requests(
    count: int, only: Sequence[str] = (), alone: int = ALONE, among: Sequence[str] = FEATURES
) -> list[Request]:
    """The first `count` requests; always the same. Each does all of `only`, or two of what is `among` its features.

    One in `alone` has a run of its own.
    """
    planned: list[Request] = []
    dice = random.Random(20)
    while len(planned) < count:
        keys = dice.sample(range(KEYS), KEYS)
        for first in range(0, KEYS, UNTRACED):
            untraced = dice.randrange(UNTRACED)
            for place, key in enumerate(keys[first : first + UNTRACED]):
                profile = dice.randrange(PROFILES)
                traced = place != untraced
                own = dice.randrange(alone) == 0
                features = tuple(only) or _features(profile, key, among)
                planned.append(Request(len(planned), profile, key, traced, traced and own, features))
    return planned[:count]


def _features(profile: int, key: int, among: Sequence[str]) -> tuple[str, ...]:
    """Two of the features, and with them few enough kinds of requests that each can be tried beforehand."""
    first = among[(key + 3 * profile) % len(among)]
    second = among[(5 * key + 7 * profile + 1) % len(among)]
    return (first,) if first == second else (first, second)
