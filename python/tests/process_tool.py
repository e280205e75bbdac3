"""The program that the app of `process_load.py` starts in other processes: it calls one of its functions, some way."""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING, Any

import leaves  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable


def plain(name: str) -> None:
    """Call it and say what it said."""
    print(getattr(leaves, name)(), end="")


def silent(name: str) -> None:
    """Call it."""
    getattr(leaves, name)()


def daemon(name: str, pipe: str) -> None:
    """Call it in a daemon, by two forks, whose parents end at once."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        return
    os.write(int(pipe), getattr(leaves, name)().encode())


def grandchild(name: str) -> None:
    """Call it in the worker of a pool of this program's own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(getattr(leaves, name)), end="")


def replaced(name: str) -> None:
    """Call it in the program that takes this one's place."""
    os.execv(sys.executable, [sys.executable, __file__, "plain", name])


def apply(leaf: Callable[[], str]) -> str:
    """Call it: what the app's pools map."""
    return leaf()


def put(queue: Any, leaf: Callable[[], str]) -> None:
    """Call it in a process of the app's, and send what it said."""
    queue.put(leaf())


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
