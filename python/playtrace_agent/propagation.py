"""Follows traced work into threads, pools and child processes.

``ContextVar`` values follow asyncio's tasks by themselves, but neither a new thread nor a pool. Each piece of work that
goes elsewhere is a unit of its own: the verdict waits for it, and names it if it never ends.
"""

from __future__ import annotations

import importlib
import operator
import subprocess
from typing import TYPE_CHECKING

from . import onimport, programs, thread_pools, threads
from .serving import serves_all

if TYPE_CHECKING:
    from collections.abc import Container
    from types import ModuleType

_installed = False
#: loky, and the copy of it that joblib has.
_LOKY = ("loky", "joblib.externals.loky")


def install(disabled: Container[str] = ()) -> None:
    """Wrap what starts work elsewhere, but for what is left out. Once."""
    global _installed  # noqa: PLW0603 - the process has one `threading`
    if _installed:
        return
    _installed = True
    if "threads" not in disabled:
        threads.change()
    thread_pools.change(followed="thread-pools" not in disabled)
    if "subprocess" not in disabled:
        programs.follow_programs(subprocess)
    onimport.install({**(_left_out() if "multiprocessing" in disabled else _followed()), **_greenlets(disabled)})


def _followed() -> dict[str, onimport.Change]:
    return {
        **_foreign(),
        "multiprocessing.process": _change("multiprocess", "change_process"),
        "multiprocessing.spawn": _change("multiprocess", "change_spawn"),
        "multiprocessing.queues": _change("queues", "change_queues"),
        "multiprocessing.managers": _change("managers", "change_managers"),
        "multiprocessing.pool": _change("pools", "change_pool"),
        "concurrent.futures.process": _change("executors", "change_executor"),
        **{f"{package}.process_executor": _change("lokys", "change_executor") for package in _LOKY},
        **{f"{package}.backend.spawn": _change("lokys", "change_spawn") for package in _LOKY},
    }


def _greenlets(disabled: Container[str]) -> dict[str, onimport.Change]:
    from . import greenlets

    return greenlets.changes(disabled)


def _left_out() -> dict[str, onimport.Change]:
    """Return the changes without which processes and threads for all would be credited to whoever starts them."""
    return {
        **_foreign(),
        "multiprocessing.process": _change("foreign", "change_process"),
        "multiprocessing.queues": _change("foreign", "change_queues"),
        "multiprocessing.managers": _change("managers", "change_managers"),
        "multiprocessing.pool": _change("foreign", "change_fork"),
        "concurrent.futures.process": _change("foreign", "change_executor"),
        **{f"{package}.process_executor": _change("foreign", "change_loky") for package in _LOKY},
    }


def _foreign() -> dict[str, onimport.Change]:
    return {
        **{f"{package}.backend.resource_tracker": _change("lokys", "change_tracker") for package in _LOKY},
        "billiard.pool": _change("foreign", "change_fork"),
        "multiprocess.pool": _change("foreign", "change_fork"),
        "aiosqlite.core": _change("databases", "change_aiosqlite"),
        # Their calls come with a context of their own.
        "anyio._backends._asyncio": _serving_threads("WorkerThread"),
        "trio._core._thread_cache": _serving_threads("WorkerThread._work"),
    }


def _change(name: str, function: str) -> onimport.Change:
    """Return a change of this package's, whose module is imported when it is needed."""

    def change(module: ModuleType) -> None:
        getattr(importlib.import_module(f"{__package__}.{name}"), function)(module)

    return change


def _serving_threads(name: str) -> onimport.Change:
    """Return a change of nothing: what has this name is the life, or the class, of threads that serve all."""
    return lambda module: serves_all(operator.attrgetter(name)(module))
