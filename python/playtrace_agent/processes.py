"""Forks, and ends of processes that skip ``atexit``."""

from __future__ import annotations

import functools
import logging
import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from . import _native, children, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from . import workitems

log = logging.getLogger("playtrace_agent")


@dataclass
class NewProcess:
    """A process that ``multiprocessing`` is starting."""

    what: str
    #: It serves whoever asks, as the workers of pools do: it belongs to nobody.
    serves_all: bool
    #: Whether its preparation data says so.
    told: bool = False
    promised: workitems.Promise | None = None


class _Pending(threading.local):
    """What the thread that forks tells its child."""

    child: str | None = None
    process: NewProcess | None = None
    #: For a program that is about to be executed in a child.
    environment: dict[str, str] | None = None


pending = _Pending()
#: ``subprocess`` forks and runs another program at once: that child is followed through its environment. gevent's does
#: so in Python, and waits for the child in a greenlet, while others of the thread go on.
by_subprocess: ContextVar[bool] = ContextVar("playtrace_agent.by_subprocess", default=False)
_installed = False
#: The unit that lasts as long as this process.
_unit: units.Unit | None = None


def install(disabled: Container[str] = ()) -> None:
    """Follow forks, and write what is left before ``os._exit`` and ``os.exec*``, but for what is left out. Once."""
    global _installed  # noqa: PLW0603 - the process has one `os`
    if _installed:
        return
    _installed = True
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    if "exit" not in disabled:
        os._exit = _flushing_exit(os._exit)
        os.execv = _following_exec(os.execv, with_environment=False)
        os.execve = _following_exec(os.execve, with_environment=True)
    if "subprocess" not in disabled:
        os.posix_spawn = _following_spawn(os.posix_spawn)
        os.posix_spawnp = _following_spawn(os.posix_spawnp)
        os.system = _following_system(os.system)  # type: ignore[assignment]
    for function in (os._exit, os.execv, os.execve, os.posix_spawn, os.posix_spawnp, os.system):
        # A pickle names a function by its module; `posix` has the original.
        if hasattr(function, "__wrapped__"):
            function.__module__ = "os"


def _before() -> None:
    pending.child = None
    if by_subprocess.get() or not _native.traced():
        return

    process = pending.process
    if process is not None and process.serves_all:
        return

    def promise() -> None:
        promised = _native.spawn(_what(), True)
        pending.child = promised[0] if promised else None

    runtime.guard("promising a forked child", promise)


def _what() -> str:
    return pending.process.what if pending.process is not None else "os.fork()"


def _after_in_parent() -> None:
    pending.child = None


def _after_in_child() -> None:
    def begin() -> None:
        global _unit  # noqa: PLW0603 - it is about the process
        _unit = None
        what, process, child = _what(), pending.process, pending.child
        pending.process = pending.child = None
        if process is not None and process.serves_all:
            _let_go()
        if not _native.after_fork() or child is None:
            return
        opened = _native.open_within("child", child=child, what=what)
        if opened is not None:
            _unit = units.Unit(opened)
            _native.set_process_unit(opened)

    runtime.guard("beginning a forked child", begin)


def _let_go() -> None:
    _native.enter(None)
    # No unit has the number 0: what has no token of its own belongs to nobody from now on.
    _native.set_process_unit(0)
    _native.set_role("child")


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
        if given.keys() != set(names) or len(args) + len(named) != len(names) or by_subprocess.get():
            original(*args, **named)  # says what is wrong; or the promise is made, and our files are closed
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
        if _native.traced() and not by_subprocess.get():
            child = children.promise(argv, executable=path, environment=env)
        if child is None:
            return original(path, argv, {**env, **pending.environment} if pending.environment else env, **options)
        try:
            return original(path, argv, child.environment, **options)
        except BaseException:
            child.never_started()
            raise

    return posix_spawn


def _following_system(original: Callable[[Any], int]) -> Callable[[Any], int]:
    """Return an ``os.system`` whose Python programs belong to the run that starts them."""

    @functools.wraps(original)
    def system(command: Any) -> int:
        if not _native.traced() or not isinstance(command, str | bytes | os.PathLike):
            return original(command)
        child = children.promise(command, shell=True)  # noqa: S604 - it is not called here
        if child is None:
            return original(command)
        followed = child.shell_command(os.fsencode(command))
        if followed is None:
            child.never_started()
            runtime.lose("a command of os.system() is too long to be followed")
            return original(command)
        try:
            return original(followed)
        except BaseException:
            child.never_started()
            raise

    return system


#: The real one, whatever is patched.
os_execve = os.execve


def begin_process(slug: str, run: str | None, child: str | None, what: str, scope: str | None = None) -> None:
    """Make this process, which traced work started, belong to its run from now to its end."""
    global _unit
    before, _unit = _unit, units.begin("child", slug, run, child=child, what=what, scope=scope)
    _native.set_process_unit(_unit)
    if before is not None:
        units.end(before)


def belong_to_nobody() -> None:
    """Let go of the run that this process was started for: it turns out to serve all."""
    global _unit
    before, _unit = _unit, None
    _let_go()
    if before is not None:
        units.end(before)
