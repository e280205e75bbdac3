"""Follows what traced work gives to the event loop of gevent or eventlet itself: callbacks, timers, watchers.

The hub calls it, and the hub is nobody's: each goes on as work of whoever gave it. What gevent and eventlet give to the
loop themselves wakes a greenlet, which knows whose it is, and is left alone: it may serve others as well.
"""

from __future__ import annotations

import functools
import sys
from types import BuiltinFunctionType, MethodType
from typing import TYPE_CHECKING, Any

from . import _native, names, runtime
from .greenlets import Linked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

#: Where callbacks come from that do nothing but wake greenlets, unless they are told to call something else.
#: `None` at the end of the interpreter, when this module's names are gone and callbacks are still given.
_OWN = frozenset({"gevent", "greenlet", "eventlet", "playtrace_agent"})
#: Methods of watchers one of whose arguments is a callback, and which one that is.
_STARTS = {"start": 0, "again": 0, "feed": 1}


class Called(Linked):
    """A callback that is called once. Eventlet's local timers keep it, and whoever has the timer does."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as work of whoever gave it, which lets go of it."""
        before = _native.held()
        try:
            _native.hold(self.token)
            self.token = None
            return self.callback(*args, **kwargs)
        finally:
            _native.hold(before)


def change_gevent(module: ModuleType) -> None:
    """Change the loop that is compiled (``gevent.libev.corecext``), or what the others have in common."""
    # Some have two names there.
    for kind in dict.fromkeys(kind for kind in vars(module).values() if isinstance(kind, type)):
        if "run_callback" in vars(kind):
            _replace(kind, "run_callback", _giving(vars(kind)["run_callback"], 0, Called))
        watcher = getattr(module, "watcher", None)
        if watcher is not None and issubclass(kind, watcher):
            change_watcher(kind)


def change_watcher(kind: type) -> None:
    """Change the methods of a class of watchers that are given a callback."""
    for name, index in _STARTS.items():
        if name in vars(kind):
            _replace(kind, name, _giving(vars(kind)[name], index, Linked))
    setter = getattr(vars(kind).get("callback"), "__set__", None)
    if setter is not None:
        _replace(kind, "callback", _callback(vars(kind)["callback"]))


def change_libuv(module: ModuleType) -> None:
    """Change what stands for the watchers of one file: they have no class in common with the others."""
    change_watcher(module.io._multiplexwatcher)


def change_signals(module: ModuleType) -> None:
    """Change ``gevent.hub``: the hub makes a greenlet of its own for a signal's handler."""
    module.signal.__init__ = _giving(module.signal.__init__, 1, Linked)


def change_eventlet(module: ModuleType) -> None:
    """Change ``eventlet.hubs.hub``: all ways to its timers and listeners come by two methods."""
    hub: Any = module.BaseHub
    hub.add_timer = _add_timer(hub.add_timer)
    hub.add = _add(hub.add)


def _replace(kind: type, name: str, value: Any) -> None:
    # A class of Python's own making takes it; a compiled one refuses.
    try:
        setattr(kind, name, value)
    except TypeError:
        if not _native.replace_method(kind, name, value):
            runtime.leave_out("greenlets")


def _giving(original: Any, index: int, carrying: type[Linked]) -> Callable[..., Any]:
    """Wrap a method, the argument of which at that index is a callback, and the rest the callback's own."""
    traced = _native.traced

    @functools.wraps(original)
    def give(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > index and traced() and _OWN:
            callback = _carried(args[index], args[index + 1 :], carrying)
            args = (*args[:index], callback, *args[index + 1 :])
        return original(self, *args, **kwargs)

    return give


def _callback(original: Any) -> property:
    """Return a watcher's attribute, which may be set while it is at work."""
    traced = _native.traced

    def get(self: Any) -> Any:
        return original.__get__(self, type(self))

    def put(self: Any, callback: Any) -> None:
        original.__set__(self, _carried(callback, (), Linked) if traced() and _OWN else callback)

    return property(get, put, doc=getattr(original, "__doc__", None))


def _carried(callback: Any, args: Iterable[Any], carrying: type[Linked]) -> Any:
    """Return a callback as work of the running code; as it is, where that is not needed, or it will be refused."""
    return carrying(callback) if callable(callback) and not _only_wakes(callback, args) else callback


def _only_wakes(callback: Any, args: Iterable[Any]) -> bool:
    """Say whether a callback runs nothing of the app's but greenlets, which know whose they are."""
    greenlet: Any = sys.modules["greenlet"].greenlet
    if type(callback) is BuiltinFunctionType and issubclass(type(callback.__self__), greenlet):
        # Its `switch` or `throw`; the arguments are for the greenlet.
        return True
    return _is_own(callback) and all(_is_own(arg) for arg in args if callable(arg))


def _is_own(fn: Any) -> bool:
    """Say whether something that can be called is gevent's or eventlet's own."""
    if type(fn) is MethodType:
        fn = fn.__func__
    if type(fn) is BuiltinFunctionType:
        owner: Any = fn.__self__
        kind = owner if issubclass(type(owner), type) else type(owner)
        # An app's class may have it from one of theirs.
        definer = next(
            (base for base in type.mro(kind) if fn.__name__ in type.__dict__["__dict__"].__get__(base)), kind
        )
        return _is_theirs(names.module(definer))
    if type(fn).__name__ == "cython_function_or_method":
        return _is_theirs(str(fn.__module__))
    return _is_theirs(names.module(fn))


def _is_theirs(module: str) -> bool:
    return module.partition(".")[0] in _OWN


def _add_timer(original: Callable[..., Any]) -> Callable[..., Any]:
    traced = _native.traced

    @functools.wraps(original)
    def add_timer(self: Any, timer: Any) -> Any:
        if traced() and _OWN:
            _follow_timer(timer)
        return original(self, timer)

    return add_timer


def _follow_timer(timer: Any) -> None:
    # What an object has under a name of its own, no code of the app is asked for.
    held = getattr(timer, "__dict__", {}).get("tpl")
    if type(held) is tuple and len(held) == 3:
        callback, args, kwargs = held
        timer.tpl = _carried(callback, (*args, *kwargs.values()), Called), args, kwargs
    elif not _is_theirs(names.module(timer)):
        runtime.lose_once(f"a timer of the class {names.function(timer)} is not followed by eventlet's hub")


def _add(original: Callable[..., Any]) -> Callable[..., Any]:
    traced = _native.traced

    @functools.wraps(original)
    def add(self: Any, evtype: Any, fileno: Any, *callbacks: Any, **named: Any) -> Any:
        if traced() and _OWN:
            callbacks = tuple(_carried(callback, (), Linked) for callback in callbacks)
            named = {name: _carried(callback, (), Linked) for name, callback in named.items()}
        return original(self, evtype, fileno, *callbacks, **named)

    return add
