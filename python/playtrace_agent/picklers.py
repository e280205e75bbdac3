"""Pools that pickle calls and results in ways of their own, which an app may choose: joblib maps arrays into memory.

A call of ours is pickled by the pool's own pickler with its own reducers: what arrives is what would without us.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from . import answers, workitems

#: The modules of loky's executors and processes, in whatever package loky is.
_LOKY = (".process_executor", ".backend.process")


def of_loky(executor_or_process: Any) -> workitems.Medium | None:
    """Tell how loky pickles this executor's calls, or this process; ``None`` if it is not loky's."""
    for kind in type(executor_or_process).__mro__:
        for module in _LOKY:
            package, found, _ = str(kind.__module__).rpartition(module)
            reduction = sys.modules.get(f"{package}.backend.reduction") if found else None
            if reduction is not None:
                queue = getattr(executor_or_process, "_call_queue", None)
                return workitems.Medium(package, _Dumps(reduction.dumps, getattr(queue, "_reducers", None)))
    return None


class _Dumps:
    def __init__(self, dumps: Any, reducers: Any) -> None:
        self.dumps, self.reducers = dumps, reducers

    def __call__(self, obj: Any) -> Any:
        return self.dumps(obj, reducers=self.reducers)


def of_pool(pool: Any) -> workitems.Medium | None:
    """Tell how this ``multiprocessing.Pool`` pickles; ``None`` if it is not one of joblib's."""
    module: Any = sys.modules.get(answers.JOBLIB)
    # Another thread may be importing it.
    kind = getattr(module, "PicklingPool", None)
    if kind is None or not isinstance(pool, kind):
        return None
    reducers = pool._forward_reducers

    def dumps(obj: Any) -> bytes:
        pickled = io.BytesIO()
        module.CustomizablePickler(pickled, reducers).dump(obj)
        return pickled.getvalue()

    # Without reducers, its results are pickled by the connection.
    return workitems.Medium(answers.JOBLIB, dumps, answers=bool(pool._backward_reducers))
