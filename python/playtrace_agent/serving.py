"""Threads and processes that work for whoever asks: they belong to nobody, whoever starts them."""

from __future__ import annotations

from types import MethodType
from typing import Any

#: Functions that are the whole life of threads or processes in the service of whoever asks, and classes of such
#: threads, with the place of an initializer among the function's arguments.
_serving: dict[int, tuple[object, int | None]] = {}


def serves_all(target: Any, *, initializer: int | None = None) -> None:
    """Let threads and processes with this target, or threads of this class, belong to nobody.

    They outlive the work that starts them. The target's argument of that index is an initializer, the next one the
    initializer's arguments: they are the work of whoever starts the thread or process.
    """
    target = _function(target)
    _serving[id(target)] = target, initializer


def served(worker: Any) -> tuple[object, int | None] | None:
    """Return what `serves_all` was told of this thread or process; ``None`` if it does not serve all."""
    target = vars(worker).get("_target")
    return _serving.get(id(_function(target))) or _serving.get(id(type(worker)))


def _function(target: Any) -> Any:
    return target.__func__ if type(target) is MethodType else target
