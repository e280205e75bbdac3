"""Greenlets for the stress app: gevent's where it has patched the process; elsewhere the same, one after the other."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

# Greenlets in the pool of all requests.
POOL = 4
_pools: dict[str, Any] = {}


def _module(name: str) -> Any:
    """Import what other scenarios do without."""
    return importlib.import_module(name)


def patched() -> bool:
    """Whether this process's threads are greenlets."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def pause() -> None:
    """Let others have their turn."""
    if patched():
        _module("gevent").sleep(0)


def spawn(work: Callable[..., int], *arguments: int) -> int:
    """Have a greenlet do it."""
    if not patched():
        return work(*arguments)
    return int(_module("gevent").spawn(work, *arguments).get())


def spawn_later(work: Callable[..., int], *arguments: int) -> int:
    """Have a greenlet do it that a timer starts."""
    if not patched():
        return work(*arguments)
    return int(_module("gevent").spawn_later(0.001, work, *arguments).get())


def in_pool(work: Callable[[int], int], numbers: Iterable[int]) -> int:
    """Have the pool of all requests do it for each number."""
    if not patched():
        return sum(map(work, numbers))
    pool = _pools.setdefault("greenlets", _module("gevent.pool").Pool(POOL))
    return sum(pool.imap_unordered(work, numbers))


def natively(work: Callable[..., int], *arguments: int) -> int:
    """Have a thread of the system do it."""
    if not patched():
        return work(*arguments)
    return int(_module("gevent").get_hub().threadpool.spawn(work, *arguments).get())


def in_turns(first: Callable[[Callable[[], Any]], int], second: Callable[[], Any]) -> int:
    """Have a raw greenlet do `first`, which asks for `second` to be done here now and then."""
    if not patched():
        return first(second)
    greenlet = _module("greenlet")
    found: list[int] = []
    one = greenlet.greenlet(lambda: found.append(first(greenlet.getcurrent().parent.switch)))
    one.switch()
    while not one.dead:
        second()
        one.switch()
    return found[0]


def killed(work: Callable[[], Any]) -> None:
    """Kill a greenlet that waits in `work`; what that raises is its own."""
    if not patched():
        work()
        return
    one = _module("gevent").spawn(work)
    pause()
    one.kill()


def wait_for_ever() -> None:
    """Wait to be killed."""
    if not patched():
        raise _module("gevent").GreenletExit
    _module("gevent").sleep(60)


def linked(work: Callable[[int], Any], argument: int, callback: Callable[[], Any]) -> None:
    """Have a greenlet do it, and have the callback called at its end."""
    if not patched():
        work(argument)
        callback()
        return
    done = _module("gevent.event").Event()
    one = _module("gevent").spawn(work, argument)
    one.link(lambda _: (callback(), done.set()))
    done.wait()
