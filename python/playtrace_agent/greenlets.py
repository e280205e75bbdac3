"""Follows traced work into greenlets: raw ones, gevent's, eventlet's, and the threads of their pools.

A greenlet has a context of its own, which begins empty: ``_native.follow_greenlets`` has each begin as work of whoever
makes it. Here is where that would go too far (hubs and pools that a request happens to make), and what goes other ways.
"""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from . import _native, names, programs, runtime, thread_pools, units

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import ModuleType

    from . import onimport

#: Callbacks from there wake greenlets, which have contexts of their own.
_PLUMBING = ("gevent.", "playtrace_agent.")


def changes(disabled: Container[str]) -> dict[str, onimport.Change]:
    """Return what is to be changed when greenlets come to be; less, where they are left out."""
    here: dict[str, onimport.Change] = {
        "gevent.hub": lambda module: _native.serves_all_greenlets(module.Hub),
        "gevent.threadpool": _serve_threadpool,
        "eventlet.hubs.hub": _serve_eventlet,
    }
    if "subprocess" not in disabled:
        here["gevent.subprocess"] = programs.follow_programs
    if "greenlets" in disabled:
        return {"greenlet": lambda _: _native.expect_greenlets(), **here}
    from . import loops

    return {
        "greenlet": _follow,
        **here,
        "gevent.greenlet": lambda module: _follow_links(module.Greenlet, "link", "rawlink"),
        "gevent._abstract_linkable": lambda module: _follow_links(module.AbstractLinkable, "rawlink"),
        "gevent.threadpool": _change_threadpool,
        "gevent.hub": _change_hub,
        "gevent.libev.corecext": loops.change_gevent,
        "gevent._ffi.loop": loops.change_gevent,
        "gevent._ffi.watcher": loops.change_gevent,
        "gevent.libuv.watcher": loops.change_libuv,
        "eventlet.hubs.hub": _change_eventlet,
        "eventlet.tpool": _change_tpool,
    }


def _follow(module: ModuleType) -> None:
    _native.expect_greenlets()
    if not _native.follow_greenlets(module.greenlet):
        runtime.leave_out("greenlets")


def _for_nobody(original: Callable[..., Any]) -> Callable[..., Any]:
    """Have what a call makes belong to nobody."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not _native.traced():
            return original(*args, **kwargs)
        before = _native.held()
        try:
            _native.hold(None)
            return original(*args, **kwargs)
        finally:
            _native.hold(before)

    return call


def _serve_threadpool(module: ModuleType) -> None:
    """Let the threads of gevent's pools, whoever starts them, belong to nobody."""
    pool: Any = module.ThreadPool
    _native.serves_all_greenlets(pool._WorkerGreenlet)
    pool._add_thread = _for_nobody(pool._add_thread)


def _change_threadpool(module: ModuleType) -> None:
    _serve_threadpool(module)
    pool: Any = module.ThreadPool
    pool.spawn = _spawn(pool.spawn)
    future: Any = getattr(module, "_FutureProxy", None)
    if future is not None:
        future.add_done_callback = thread_pools.add_done_callback(future.add_done_callback)


def _spawn(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``ThreadPool.spawn`` whose calls are work of whoever makes them."""

    @functools.wraps(original)
    def spawn(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        unit = units.begin_within("thread", what=names.function(func)) if _native.traced() and callable(func) else None
        if unit is None:
            return original(self, func, *args, **kwargs)
        task = thread_pools.Task(func, unit)
        before = _native.held()
        try:
            _native.hold(None)
            # It may wait for a place in the pool, and be killed there.
            return original(self, task, *args, **kwargs)
        except BaseException:
            task.end()
            raise
        finally:
            _native.hold(before)

    return spawn


def _follow_links(kind: Any, *names_: str) -> None:
    """Have callbacks, which gevent's hub will call, be work of whoever links them."""
    for name in names_:
        if not _native.replace_method(kind, name, _link(getattr(kind, name))):
            runtime.leave_out("greenlets")


def _link(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def link(self: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if _native.traced() and callable(callback) and not _is_plumbing(callback):
            callback = Linked(callback)
        return original(self, callback, *args, **kwargs)

    return link


def _is_plumbing(callback: Any) -> bool:
    """Say whether a callback runs nothing of the app's but greenlets, which know whose they are."""
    if isinstance(callback, FunctionType | MethodType):
        return names.module(callback).startswith(_PLUMBING)
    # `link` wraps what it was given, and may come to `rawlink` with it.
    return isinstance(callback, BuiltinFunctionType) or type(getattr(callback, "callback", None)) is Linked


class Linked:
    """A callback of traced work, which is equal to the app's: it is unlinked by that."""

    __slots__ = ("callback", "token")

    def __init__(self, callback: Any) -> None:
        self.callback = callback
        self.token = _native.held()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as work of whoever linked it."""
        before = _native.held()
        try:
            _native.hold(self.token)
            return self.callback(*args, **kwargs)
        finally:
            _native.hold(before)

    def __eq__(self, other: object) -> bool:
        """Compare the callbacks."""
        return bool(self.callback == getattr(other, "callback", other))

    def __hash__(self) -> int:
        """Return the callback's."""
        return hash(self.callback)

    def __getattr__(self, name: str) -> Any:
        """Ask the callback: gevent looks at it, too."""
        return getattr(self.callback, name)


def _serve_eventlet(module: ModuleType) -> None:
    hub: Any = module.BaseHub
    for name in ("__init__", "ensure_greenlet"):
        setattr(hub, name, _for_nobody(getattr(hub, name)))


def _change_hub(module: ModuleType) -> None:
    from . import loops

    _native.serves_all_greenlets(module.Hub)
    loops.change_signals(module)


def _change_eventlet(module: ModuleType) -> None:
    from . import loops

    _serve_eventlet(module)
    loops.change_eventlet(module)


def _change_tpool(module: ModuleType) -> None:
    """Have ``eventlet.tpool`` make calls as work of whoever makes them; its threads are nobody's."""
    changed: Any = module
    original = module.execute

    @functools.wraps(original)
    def execute(meth: Any, *args: Any, **kwargs: Any) -> Any:
        unit = units.begin_within("thread", what=names.function(meth)) if _native.traced() else None
        if unit is None:
            return original(meth, *args, **kwargs)
        task = thread_pools.Task(meth, unit)
        try:
            return original(task, *args, **kwargs)
        finally:
            task.end()

    changed.setup = _for_nobody(module.setup)
    changed.execute = execute
