"""Follows what traced work puts into a ``multiprocessing.Queue``: a thread of the queue pickles it.

That thread serves whoever puts something, so it belongs to nobody, and to each putter in turn. ``get`` unpickles in the
caller's context, and ``SimpleQueue`` does both there.
"""

from __future__ import annotations

import collections
import functools
import threading
import time
from typing import TYPE_CHECKING, Any

from . import _native, answers, runtime, serving, workitems

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: Their pickling runs no code of the app. (A bare `object` ends a queue.)
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, object})

#: Seconds.
_PATIENCE = 0.5


def change_queues(module: ModuleType) -> None:
    """Follow ``multiprocessing.queues``."""
    queue: Any = module.Queue
    serving.serves_all(queue._feed)
    if any(serving.served(thread) for thread in threading.enumerate()):
        for kind in (queue, module.JoinableQueue):
            kind.put = _put(kind.put)
    queue._start_thread = follow_feeding(queue._start_thread)
    answers.change_messages(module)


def follow_feeding(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what starts a queue's thread, which then works for each putter in turn."""

    @functools.wraps(original)
    def _start_thread(self: Any) -> None:
        # The original empties it, and hands it to the new thread.
        self._buffer = _Buffer()
        original(self)

    return _start_thread


def _put(original: Callable[..., None]) -> Callable[..., None]:
    """Name what is lost where a queue's thread ran before the agent was switched on: it keeps the buffer it has."""

    @functools.wraps(original)
    def put(self: Any, obj: Any, *args: Any, **kwargs: Any) -> None:
        if _native.traced() and self._thread is not None and type(self._buffer) is not _Buffer and not _is_plain(obj):
            runtime.lose_once("a queue that was used before the agent was switched on pickles what is put into it")
        original(self, obj, *args, **kwargs)

    return put


def settle() -> None:
    """The process ends: let its queues send what traced work put into them.

    `multiprocessing` will wait for them without end, unless it was told not to; but if it was imported before the agent
    was switched on, that comes later than this.
    """
    end = time.monotonic() + _PATIENCE
    feeding = (vars(thread).get("_args") for thread in threading.enumerate() if serving.served(thread))
    for buffer in [args[0] for args in feeding if args and isinstance(args[0], _Buffer)]:
        while buffer.is_traced() and time.monotonic() < end:
            time.sleep(0.001)


class _Buffer(collections.deque[Any]):
    """What was put into a queue and not pickled yet. Each item knows whose it is."""

    #: Whether the thread that feeds the queue pickles an item for traced work.
    _busy = False

    def append(self, item: Any, /) -> None:
        """Add an item for the running code."""
        token = workitems.own_token() if _native.traced() and not _is_plain(item) else None
        super().append((token, item))

    def popleft(self) -> Any:
        """Take an item; the calling thread works for whoever put it, until it comes back."""
        self._rest()
        # Before it leaves the buffer, for whoever asks whether something is left.
        self._busy = True
        token = None
        try:
            token, item = super().popleft()
        finally:
            self._busy = token is not None
        if token is not None:
            _native.enter(token)
        return item

    def __bool__(self) -> bool:
        """Say whether there is something: what the thread asks after an item that it could not send."""
        self._rest()
        return len(self) > 0

    def is_traced(self) -> bool:
        """Say whether something of traced work has not been sent."""
        return self._busy or any(token is not None for token, _ in self.copy())

    def _rest(self) -> None:
        if self._busy:
            self._busy = False
            _native.enter(None)


def _is_plain(item: object) -> bool:
    if type(item) is tuple:
        return all(type(part) in _PLAIN for part in item)
    return type(item) in _PLAIN
