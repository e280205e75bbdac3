"""Follows traced work into ``ProcessPoolExecutor``, and into what is made like it.

Its processes are others' too, so they belong to nobody; each call that traced work submits is a unit of its own.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from . import _native, names, serving, waiting, workitems

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def change_executor(module: ModuleType) -> None:
    """Follow ``concurrent.futures.ProcessPoolExecutor``."""
    serving.serves_all(module._ExecutorManagerThread)
    serving.serves_all(module._process_worker, initializer=2)
    executor: Any = module.ProcessPoolExecutor
    executor.submit = follow_submit(executor.submit, module._process_chunk)
    executor._spawn_process = follow_start(executor._spawn_process, module._ExecutorManagerThread)


def _no_medium(_executor: Any) -> None:
    return None


def follow_submit(
    original: Callable[..., Any],
    process_chunk: Callable[..., Any],
    medium: Callable[[Any], workitems.Medium | None] = _no_medium,
) -> Callable[..., Any]:
    """Return an executor's ``submit`` whose calls are followed; ``medium`` tells how the executor pickles them."""

    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not _native.traced():
            return original(self, fn, *args, **kwargs)
        # `map` submits chunks.
        chunk = isinstance(fn, functools.partial) and fn.func is process_chunk
        what = names.function(fn.args[0] if chunk else fn)  # type: ignore[attr-defined]
        promised = workitems.call(f"{what} in a process pool", fn, args, kwargs, medium(self))
        if promised is None:
            return original(self, fn, *args, **kwargs)
        call, handed = promised
        if self._initializer is not None:
            waiting.needs_workers(self, handed)
        try:
            future = original(self, call)
        except BaseException:
            handed.dropped("it was not submitted")
            raise
        future.add_done_callback(handed.done)
        return future

    return submit


def follow_start(original: Callable[[Any], None], manager: type) -> Callable[[Any], None]:
    """Return what starts an executor's workers, for the call that waits where the executor's own thread does it."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        if isinstance(threading.current_thread(), manager):
            waiting.for_who_waits(self, original, self)
        else:
            original(self)

    return start
