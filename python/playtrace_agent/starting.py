"""The lock of the one thread that switches the agent on in this process."""

from __future__ import annotations

import os
import threading


class _Starting:
    """The lock. A forked child gets a new one."""

    def __init__(self) -> None:
        self.forks = False
        self.renew()

    def renew(self) -> None:
        self.lock = threading.RLock()


_starting = _Starting()


def lock() -> threading.RLock:
    """Return the lock. A fork doesn't leave it held by a thread that is not there."""
    if not _starting.forks:
        _starting.forks = True
        os.register_at_fork(after_in_child=_starting.renew)
    return _starting.lock
