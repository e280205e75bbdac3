"""Follows what database drivers call in threads that they keep, as connections are kept, for whoever comes next."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from . import _native, serving, thread_pools

if TYPE_CHECKING:
    from types import ModuleType


def change_aiosqlite(module: ModuleType) -> None:
    """Change ``aiosqlite.core``: a connection has a thread, to which others hand calls, SQLAlchemy among them."""
    changed: Any = module
    # Older releases: the connection is the thread.
    serving.serves_all(getattr(module, "_connection_worker_thread", changed.Connection))
    changed.SimpleQueue = _Calls


class _Calls(queue.SimpleQueue[Any]):
    """Calls with the futures of those who wait for them, each made as work of whoever hands it over."""

    def put_nowait(self, item: Any) -> None:
        if _native.traced() and type(item) is tuple and len(item) == 2 and callable(item[1]):
            item = item[0], thread_pools.Carried(item[1])
        super().put_nowait(item)
