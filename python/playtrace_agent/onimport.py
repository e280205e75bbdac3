"""Lets the agent change a module once somebody imports it, and not before.

``multiprocessing`` and its relatives cost milliseconds and memory to import; most web processes never need them. Nor is
importing them without effect: once ``multiprocessing`` and ``asyncio`` are here, each log record asks both who it is.
"""

from __future__ import annotations

import sys

# Not `typing`'s: a process that waits for an app has nothing else that imports it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Change = Callable[[ModuleType], None]


def install(changes: dict[str, Change]) -> None:
    """Change the modules that are here, and the others (or their reloaded successors) when they are imported."""
    if not _finder.changes:
        sys.meta_path.insert(0, _finder)
    for name, change in changes.items():
        _finder.changes.setdefault(name, []).append(change)
        module = sys.modules.get(name)
        if module is not None:
            _change(change, module)


def _change(change: Change, module: ModuleType) -> None:
    from . import runtime

    runtime.guard(f"following what {module.__name__} starts", lambda: change(module))


class _Finder:
    """Finds nothing by itself: it lends the loader that another finder found one more step."""

    def __init__(self) -> None:
        self.changes: dict[str, list[Change]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, for a module that is waited for; ``None`` for all others."""
        changes = self.changes.get(fullname)
        if changes is None:
            return None
        # Those before it had nothing to say; one of ours among them is asking just now. Somebody may have put another
        # list there.
        finders = list(sys.meta_path)
        begin = next((index + 1 for index, finder in enumerate(finders) if finder is self), 0)
        for finder in finders[begin:]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                _lend(spec.loader, changes)
                return spec
        return None


#: One for all: two that wait for the same module would ask each other.
_finder = _Finder()


def _lend(loader: Any, changes: list[Change]) -> None:
    """Have this loader change its module after it has executed it, and forget about that."""
    borrowed = getattr(loader, "__dict__", None)
    if not isinstance(borrowed, dict):
        return
    # Another finder of ours may have lent it a step already.
    before = borrowed.get("exec_module")

    def exec_module(module: ModuleType) -> None:
        if before is None:
            borrowed.pop("exec_module", None)
        else:
            borrowed["exec_module"] = before
        loader.exec_module(module)
        for change in changes:
            _change(change, module)

    borrowed["exec_module"] = exec_module
