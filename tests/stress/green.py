"""Greenlets for the stress app: gevent's or eventlet's, where one of them has patched the process; elsewhere the same
work is done at once, one piece after the other.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

# Greenlets in the pool of all requests.
POOL = 4


def _module(name: str) -> Any:
    """Import what other scenarios do without."""
    return importlib.import_module(name)


class Plain:
    """No greenlets."""

    def pause(self) -> None:
        """Let others have their turn."""

    def spawn(self, work: Callable[..., int], *arguments: int) -> int:
        """Have a greenlet do it."""
        return work(*arguments)

    def spawn_later(self, work: Callable[..., int], *arguments: int) -> int:
        """Have a greenlet do it that a timer starts."""
        return work(*arguments)

    def in_pool(self, work: Callable[[int], int], numbers: Iterable[int]) -> int:
        """Have the pool of all requests do it for each number."""
        return sum(map(work, numbers))

    def natively(self, work: Callable[..., int], *arguments: int) -> int:
        """Have a thread of the system do it."""
        return work(*arguments)

    def in_turns(self, first: Callable[[Callable[[], Any]], int], second: Callable[[], Any]) -> int:
        """Have a raw greenlet do `first`, which asks for `second` to be done here now and then."""
        return first(second)

    def killed(self, work: Callable[[], Any]) -> None:
        """Kill a greenlet that waits in `work`; what that raises is its own."""
        work()

    def wait_for_ever(self) -> None:
        """Wait to be killed."""
        raise _module("greenlet").GreenletExit

    def linked(self, work: Callable[[int], Any], argument: int, callback: Callable[[], Any]) -> None:
        """Have a greenlet do it, and have the callback called at its end."""
        work(argument)
        callback()


class _Green(Plain):
    def in_turns(self, first: Callable[[Callable[[], Any]], int], second: Callable[[], Any]) -> int:
        greenlet = _module("greenlet")
        found: list[int] = []
        one = greenlet.greenlet(lambda: found.append(first(greenlet.getcurrent().parent.switch)))
        one.switch()
        while not one.dead:
            second()
            one.switch()
        return found[0]


class _Gevent(_Green):
    def __init__(self) -> None:
        self.gevent = _module("gevent")
        self.pool = _module("gevent.pool").Pool(POOL)

    def pause(self) -> None:
        self.gevent.sleep(0)

    def spawn(self, work: Callable[..., int], *arguments: int) -> int:
        return int(self.gevent.spawn(work, *arguments).get())

    def spawn_later(self, work: Callable[..., int], *arguments: int) -> int:
        return int(self.gevent.spawn_later(0.001, work, *arguments).get())

    def in_pool(self, work: Callable[[int], int], numbers: Iterable[int]) -> int:
        return sum(self.pool.imap_unordered(work, numbers))

    def natively(self, work: Callable[..., int], *arguments: int) -> int:
        return int(self.gevent.get_hub().threadpool.spawn(work, *arguments).get())

    def killed(self, work: Callable[[], Any]) -> None:
        one = self.gevent.spawn(work)
        self.pause()
        one.kill()

    def wait_for_ever(self) -> None:
        self.gevent.sleep(60)

    def linked(self, work: Callable[[int], Any], argument: int, callback: Callable[[], Any]) -> None:
        done = _module("gevent.event").Event()
        one = self.gevent.spawn(work, argument)
        one.link(lambda _: (callback(), done.set()))
        done.wait()


class _Eventlet(_Green):
    def __init__(self) -> None:
        self.eventlet = _module("eventlet")
        self.pool = self.eventlet.GreenPool(POOL)

    def pause(self) -> None:
        self.eventlet.sleep(0)

    def spawn(self, work: Callable[..., int], *arguments: int) -> int:
        return int(self.eventlet.spawn(work, *arguments).wait())

    def spawn_later(self, work: Callable[..., int], *arguments: int) -> int:
        return int(self.eventlet.spawn_after(0.001, work, *arguments).wait())

    def in_pool(self, work: Callable[[int], int], numbers: Iterable[int]) -> int:
        return sum(self.pool.imap(work, numbers))

    def natively(self, work: Callable[..., int], *arguments: int) -> int:
        return int(_module("eventlet.tpool").execute(work, *arguments))

    def killed(self, work: Callable[[], Any]) -> None:
        one = self.eventlet.spawn(work)
        self.pause()
        one.kill()
        # Unlike gevent's, its `kill` does not wait for what the greenlet does then.
        with suppress(_module("greenlet").GreenletExit):
            one.wait()

    def wait_for_ever(self) -> None:
        self.eventlet.sleep(60)

    def linked(self, work: Callable[[int], Any], argument: int, callback: Callable[[], Any]) -> None:
        done = self.eventlet.Event()
        one = self.eventlet.spawn(work, argument)
        one.link(lambda _: (callback(), done.send()))
        done.wait()


def patched() -> str:
    """Whose greenlets this process's threads are; empty where they are threads."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet: Any = sys.modules.get("eventlet.patcher")
    return "eventlet" if eventlet is not None and eventlet.is_monkey_patched("thread") else ""


@functools.cache
def here() -> Plain:
    """Return what this process has."""
    return {"": Plain, "gevent": _Gevent, "eventlet": _Eventlet}[patched()]()
