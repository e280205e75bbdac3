"""Process pools whose calls are not followed: billiard's, multiprocess', and a loky that `lokys.py` can't follow.

The verdict learns of each kind of them. Their processes and threads belong to nobody, whoever starts them: they work
for others, too. Where ``PROFILE_COVERAGE_DISABLE`` leaves ``multiprocessing`` out, those of the standard library and of
loky are treated likewise.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from . import _native, processes, runtime, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def change_process(module: ModuleType) -> None:
    """Change ``multiprocessing.process``, where its processes are not to be followed."""
    process: Any = module.BaseProcess
    process.start = _lost(for_nobody(process.start), "processes of multiprocessing are not followed")


def change_queues(module: ModuleType) -> None:
    """Change ``multiprocessing.queues``, where they are not to be followed: a thread serves whoever puts something."""
    serving.serves_all(module.Queue._feed)
    for queue in (module.Queue, module.JoinableQueue):
        queue.put = _lost(for_nobody(queue.put), "what a multiprocessing queue pickles is not followed")


def change_executor(module: ModuleType) -> None:
    """Change ``concurrent.futures.process``, where its pools are not to be followed."""
    executor: Any = module.ProcessPoolExecutor
    executor.submit = _lost(for_nobody(executor.submit), "the calls of a process pool are not followed")


def change_loky(module: ModuleType) -> None:
    """Change ``loky.process_executor``, which starts processes and threads when something is submitted."""
    executor: Any = module.ProcessPoolExecutor
    executor.submit = _lost(for_nobody(executor.submit), "the calls of a loky pool are not followed")


def change_fork(module: ModuleType) -> None:
    """Change ``pool`` of a package that descends from ``multiprocessing``."""
    pool: Any = module.Pool
    what = f"the calls of {module.__name__} are not followed"
    pool.__init__ = for_nobody(pool.__init__)
    for name in ("apply_async", "_map_async", "map_async", "imap", "imap_unordered"):
        setattr(pool, name, _lost(getattr(pool, name), what))
    grow = getattr(pool, "grow", None)
    if grow is not None:
        pool.grow = for_nobody(grow)


def _lost(original: Callable[..., Any], what: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _native.traced():
            runtime.lose_once(what)
        return original(*args, **kwargs)

    return call


def for_nobody(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as nobody's work: threads and processes that it starts work for others, too."""

    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        if not _native.traced():
            return original(*args, **kwargs)
        before, pending = _native.held(), processes.pending
        outer = pending.process
        try:
            # Within the block: a signal's handler may raise as soon as this has been done.
            _native.hold(None)
            pending.process = processes.NewProcess("a worker", serves_all=True)
            return original(*args, **kwargs)
        finally:
            pending.process = outer
            _native.hold(before)

    return start
