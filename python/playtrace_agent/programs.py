"""Follows traced work into programs that ``subprocess.Popen`` starts."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import _native, children, processes, units

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_FOLLOWED = "_playtrace_follows"
#: The parameters of `Popen` that may be given by position, as far as we need them.
_POPEN = (
    "args",
    "bufsize",
    "executable",
    "stdin",
    "stdout",
    "stderr",
    "preexec_fn",
    "close_fds",
    "shell",
    "cwd",
    "env",
)


def _with_preparation(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Have the lines of a ``preexec_fn`` written: the program takes the place of the child that executed them."""
    index = _POPEN.index("preexec_fn")
    work = args[index] if len(args) > index else kwargs.get("preexec_fn")
    if work is None:
        return args, kwargs

    # Whatever it is: an object that can't be called is refused in the child, as it would be without us.
    def preexec_fn() -> None:
        try:
            work()
        finally:
            units.flush()

    if len(args) > index:
        return (*args[:index], preexec_fn, *args[index + 1 :]), kwargs
    return args, {**kwargs, "preexec_fn": preexec_fn}


def follow_programs(module: Any) -> None:
    """Let the programs that ``module.Popen`` starts belong to whoever starts them.

    Once for each: ``subprocess`` may have gevent's.
    """
    popen = module.Popen
    if not hasattr(popen.__init__, _FOLLOWED):
        popen.__init__ = _popen(popen.__init__)
        setattr(popen.__init__, _FOLLOWED, True)


def _popen(original: Callable[..., None]) -> Callable[..., None]:
    # Not by the original's signature: another wrapper, there before ours, may have none that tells anything.
    @functools.wraps(original)
    def __init__(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it is one
        given = {**dict(zip(_POPEN, args, strict=False)), **kwargs}
        if not _native.traced() or "args" not in given:
            return original(self, *args, **kwargs)
        words = given["args"]
        if isinstance(words, Iterable) and not isinstance(words, str | bytes | os.PathLike | Sequence):
            # It may be read once only: `subprocess` gets what we read.
            words = list(words)
            args, kwargs = ((words, *args[1:]), kwargs) if args else (args, {**kwargs, "args": words})
        args, kwargs = _with_preparation(args, kwargs)
        child = children.promise(
            words,
            executable=given.get("executable"),
            shell=bool(given.get("shell")),
            environment=given.get("env"),
        )
        if child is None:
            return original(self, *args, **kwargs)
        if len(args) < len(_POPEN):
            kwargs["env"] = child.environment
        else:
            args = (*args[: len(_POPEN) - 1], child.environment, *args[len(_POPEN) :])
        outer = processes.by_subprocess.get()
        try:
            # Within the block: a signal's handler may raise as soon as it is set.
            processes.by_subprocess.set(True)
            return original(self, *args, **kwargs)
        except BaseException:
            child.never_started()
            raise
        finally:
            processes.by_subprocess.set(outer)

    return __init__
