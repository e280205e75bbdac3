"""The server processes of ``multiprocessing``'s managers.

They serve whoever has a proxy, so they belong to nobody. What the standard library's own types do there is not of
interest; code of the app that a server runs for traced work is not followed, and the verdict learns of it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from . import _native, runtime, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import ModuleType


def change_managers(module: ModuleType) -> None:
    """Let the servers belong to nobody, and name what is lost in them."""
    manager: Any = module.BaseManager
    serving.serves_all(manager._run_server, initializer=5)
    # A managed pool runs the app's functions.
    harmless = frozenset(module.SyncManager._registry) - {"Pool"}
    manager._create = _create(manager._create, harmless)
    proxy: Any = module.BaseProxy
    proxy._callmethod = _callmethod(proxy._callmethod, harmless)


def _create(original: Callable[..., Any], harmless: Container[str]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _create(self: Any, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        _name_loss(typeid, harmless)
        return original(self, typeid, *args, **kwds)

    return _create


def _callmethod(original: Callable[..., Any], harmless: Container[str]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _callmethod(self: Any, methodname: str, args: Any = (), kwds: Any = {}) -> Any:  # noqa: B006 - the original's
        _name_loss(self._token.typeid, harmless)
        return original(self, methodname, args, kwds)

    return _callmethod


def _name_loss(typeid: str, harmless: Container[str]) -> None:
    if _native.traced() and typeid not in harmless:
        runtime.lose_once(f"what {typeid!r} does in the process of a multiprocessing manager is not followed")
