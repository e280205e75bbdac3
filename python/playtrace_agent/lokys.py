"""Follows traced work into loky's executors: its own, and those of the copy that joblib comes with.

They have the shape of ``ProcessPoolExecutor``, but a pickler of their own (`picklers.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import executors, foreign, multiprocess, picklers, serving
from .queues import follow_feeding

if TYPE_CHECKING:
    from types import ModuleType

#: What is used of a release. One that lacks something is not followed, and the verdict learns of it.
_EXECUTOR = ("_ExecutorManagerThread", "_process_worker", "_process_chunk", "ProcessPoolExecutor")
_METHODS = ("submit", "_adjust_process_count", "_setup_queues")


def change_executor(module: ModuleType) -> None:
    """Follow ``loky.process_executor``."""
    package = module.__name__.rpartition(".")[0]
    queues: Any = sys.modules.get(f"{package}.backend.queues")
    reduction: Any = sys.modules.get(f"{package}.backend.reduction")
    executor: Any = getattr(module, "ProcessPoolExecutor", None)
    whole = all(hasattr(module, name) for name in _EXECUTOR) and all(hasattr(executor, name) for name in _METHODS)
    if not whole or not hasattr(queues, "dumps") or not hasattr(reduction, "dumps"):
        foreign.change_loky(module)
        return
    serving.serves_all(queues.Queue._feed)
    queues.Queue._start_thread = follow_feeding(queues.Queue._start_thread)
    serving.serves_all(module._ExecutorManagerThread)
    serving.serves_all(module._process_worker, initializer=2)
    executor.submit = executors.follow_submit(executor.submit, module._process_chunk, picklers.of_loky)
    executor._adjust_process_count = executors.follow_start(
        executor._adjust_process_count, module._ExecutorManagerThread
    )


def change_spawn(module: ModuleType) -> None:
    """Have ``loky.backend.spawn`` tell new processes whose they are."""
    multiprocess.change_spawn(module)


def change_tracker(module: ModuleType) -> None:
    """Let the process behind ``loky.backend.resource_tracker``, which whoever comes first starts for all, be nobody's.

    Before loky 3.5, it is started by a fork that others can see.
    """
    tracker: Any = module.ResourceTracker
    tracker.ensure_running = foreign.for_nobody(tracker.ensure_running)
