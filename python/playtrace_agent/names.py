"""Names of the app's things, for people. Asking for them runs no code of the app and raises nothing."""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType
from typing import Any

#: How often a function may be wrapped: a `functools.partial` can be made to hold itself.
_DEEPEST = 20
#: The attribute that has the name of an object of these classes. Not of others: it would be for their code to say.
#: What is bound to an object asks the object's class for its qualified name.
_NAMED = {
    FunctionType: "__qualname__",
    functools._lru_cache_wrapper: "__qualname__",
    BuiltinFunctionType: "__name__",
    MethodDescriptorType: "__name__",
}
#: A metaclass may have its own idea of attributes.
_qualified: Any = type.__dict__["__qualname__"].__get__
_module: Any = type.__dict__["__module__"].__get__


def printable(what: str) -> str:
    """Return what the ledger takes: not too long, and text, which a name need not be."""
    # A subclass of `str` may do what it likes.
    return str.__str__(what)[:200].encode(errors="backslashreplace").decode()


def function(fn: Any) -> str:
    """Return the name of what can be called; of an object that is no function, that of its class."""
    fn = _unwrapped(fn, functools.partial)
    kind = type(fn)
    name = getattr(fn, _NAMED[kind], None) if kind in _NAMED else None
    if name is None:
        name = _qualified(fn if issubclass(kind, type) else kind)
    return _text(name)


def module(fn: Any) -> str:
    """Return the name of the module that a function, or the class of what is called, says it is from."""
    fn = _unwrapped(fn, None)
    kind = type(fn)
    if kind in _NAMED:
        return _text(getattr(fn, "__module__", None))
    return _text(_module(fn if issubclass(kind, type) else kind))


def attribute(thing: Any, name: str) -> str:
    """Return the text that an object's own dictionary has under a name."""
    return _text(vars(thing).get(name))


def _unwrapped(fn: Any, partial: Any) -> Any:
    # By the type alone: `isinstance` asks the object, too.
    for _ in range(_DEEPEST):
        if type(fn) is MethodType:
            fn = fn.__func__
        elif type(fn) is partial:
            fn = fn.func
        else:
            break
    return fn


def _text(name: Any) -> str:
    return printable(name) if issubclass(type(name), str) else ""
