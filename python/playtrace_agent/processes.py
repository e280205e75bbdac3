"""Forks, and ends of processes that skip ``atexit``."""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from . import _native, children, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("playtrace_agent")


class _Pending(threading.local):
    """What the thread that forks tells its child."""

    child: str | None = None
    #: ``subprocess`` forks and runs another program at once: that child is followed through its environment.
    by_subprocess: bool = False
    #: For a program that is about to be executed in a child.
    environment: dict[str, str] | None = None


pending = _Pending()
_installed = False


def install() -> None:
    """Follow forks, and write what is left before ``os._exit`` and ``os.exec*``. Once."""
    global _installed  # noqa: PLW0603 - the process has one `os`
    if _installed:
        return
    _installed = True
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    os._exit = _flushing_exit(os._exit)
    os.execv = _following_exec(os.execv, with_environment=False)
    os.posix_spawn = _following_spawn(os.posix_spawn)
    os.posix_spawnp = _following_spawn(os.posix_spawnp)
    os.execve = _following_exec(os.execve, with_environment=True)
    for function in (os._exit, os.execv, os.execve, os.posix_spawn, os.posix_spawnp):
        # A pickle names a function by its module; `posix` has the original.
        function.__module__ = "os"


def _before() -> None:
    pending.child = None
    if pending.by_subprocess or not _native.traced():
        return

    def promise() -> None:
        promised = _native.spawn("os.fork()", True)
        pending.child = promised[0] if promised else None

    runtime.guard("promising a forked child", promise)


def _after_in_parent() -> None:
    pending.child = None


def _after_in_child() -> None:
    def begin() -> None:
        child, pending.child = pending.child, None
        if not _native.after_fork() or child is None:
            return
        opened = _native.open_within("child", child=child, what="os.fork()")
        if opened is not None:
            _native.set_process_unit(opened)

    runtime.guard("beginning a forked child", begin)


def _flushing_exit(original: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    @functools.wraps(original)
    def _exit(*args: Any, **named: Any) -> NoReturn:
        runtime.finish()
        original(*args, **named)

    return _exit


def _following_exec(original: Callable[..., NoReturn], *, with_environment: bool) -> Callable[..., NoReturn]:
    """Return an exec function whose new program, if it is Python, goes on for the same run."""
    names = ("path", "argv", "env") if with_environment else ("path", "argv")

    @functools.wraps(original)
    def run(*args: Any, **named: Any) -> NoReturn:
        given = dict(zip(names, args, strict=False), **named)
        if given.keys() != set(names) or len(args) + len(named) != len(names):
            original(*args, **named)  # says what is wrong
        path, argv, environment = given["path"], given["argv"], given.get("env", os.environ)
        child = children.promise(argv, executable=path, environment=environment) if _native.traced() else None
        runtime.finish()
        if child is None and pending.environment:
            os_execve(path, argv, {**environment, **pending.environment})
        if child is not None:
            try:
                os_execve(path, argv, child.environment)
            except Exception:  # noqa: BLE001 - the app's own call below says what is wrong, in its own words
                # The program is not there (`execvp` tries many places): this process goes on.
                child.never_started()
        original(*args, **named)

    return run


def _following_spawn(original: Callable[..., int]) -> Callable[..., int]:
    """Return a ``posix_spawn`` whose program, if it is Python, belongs to the run that starts it."""

    @functools.wraps(original)
    def posix_spawn(*args: Any, **options: Any) -> int:
        if len(args) != 3:
            return original(*args, **options)  # says what is wrong
        path, argv, env = args
        child = None
        if _native.traced() and not pending.by_subprocess:
            child = children.promise(argv, executable=path, environment=env)
        if child is None:
            return original(path, argv, {**env, **pending.environment} if pending.environment else env, **options)
        try:
            return original(path, argv, child.environment, **options)
        except BaseException:
            child.never_started()
            raise

    return posix_spawn


#: The real one, whatever is patched.
os_execve = os.execve


def begin_process(slug: str, run: str | None, child: str | None, what: str, scope: str | None = None) -> None:
    """Make this process, which traced work started, belong to its run from now to its end."""
    unit = units.begin("child", slug, run, child=child, what=what, scope=scope)
    _native.set_process_unit(unit.number)
