"""Switches the agent on in this process, once, and off again when the process ends."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import platform
import sys
from typing import TYPE_CHECKING

from . import __version__, installation, settings, starting

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from . import _native
    from .settings import Settings

    native = _native
else:
    #: ``_native`` once the agent is on. Not imported before: where the agent is off, nothing of it is loaded.
    native = None

log = logging.getLogger("playtrace_agent")

#: Where the classes of exceptions come from that a fault of the agent can raise.
_OWN_FAULTS = frozenset({"builtins", "playtrace_agent", "_native"})

_settings: Settings | None = None
#: Whether this interpreter can't be traced, which has been said.
_refused = False
_pid = 0


def started() -> bool:
    """Say whether the agent is on in this process."""
    return _settings is not None


def started_pid() -> int:
    """Return the process that switched the agent on; a forked child has another number."""
    return _pid


def current_settings() -> Settings:
    """Return the settings that the process started with."""
    if _settings is None:
        raise RuntimeError("the agent is not on in this process")
    return _settings


def start(
    role: str,
    app_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
    hooks: Callable[[], None] | None = None,
) -> bool:
    """Switch the agent on if ``ENABLE_PROFILE_COVERAGE`` is; say whether it is on now.

    The settings are those of ``environ`` (of the process's own environment without it). Who switches it on has its
    ``hooks`` put in place before the process's record tells which there are: somebody may look at any moment.

    Raises:
        SettingsError: The settings can't be followed.
    """
    if _settings is not None:
        return True
    if _refused or not settings.enabled(environ):
        return False
    with starting.lock():
        # A thread that waited finds the agent on, with everything that follows its work in place.
        if _settings is None and not _refused:
            _start(role, app_dir, environ, hooks)
    return _settings is not None


def changing() -> threading.RLock:
    """Return the lock of whoever switches the agent on or wraps an app for it. A forked child has a new one."""
    return starting.lock()


def _start(
    role: str, app_dir: Path | None, environ: Mapping[str, str] | None, hooks: Callable[[], None] | None
) -> None:
    global _settings, _pid
    from . import interpreter

    refused = interpreter.refusal()
    if refused:
        _refuse(refused)
        return
    wanted = settings.load(environ, app_dir)
    chosen = interpreter.choose(wanted, quiet=role not in _SERVING)
    wanted = chosen.possible(wanted)
    try:
        from . import _native
    except ImportError as error:
        _refuse(interpreter.not_loaded(error))
        return
    from . import processes, propagation

    try:
        notices = _native.configure(
            directory=wanted.directory,
            root=wanted.root,
            config=wanted.config,
            prefix=wanted.prefix,
            granularity=chosen.granularity,
            engine_name=chosen.engine,
            role_name=role,
            secret=wanted.secret,
            signed_only=wanted.signed_only,
            allow=wanted.allow,
            limits=wanted.limits,
            program=f"playtrace-agent {__version__}, CPython {platform.python_version()}, {chosen.by}",
            **installation.places(),
            always=wanted.always,
        )
    except _native.TraceError as error:
        raise settings.SettingsError(str(error)) from error
    for notice in notices:
        log.warning("coverage configuration: %s", notice)
    globals()["native"] = _native
    chosen.listen(_native, wanted)
    if "imports" not in wanted.disabled:
        _native.install_import_hook()
    propagation.install(wanted.disabled)
    processes.install(wanted.disabled)
    if wanted.always and "routes" not in wanted.disabled:
        from . import routes

        routes.install()
    atexit.register(_finish)
    boot()
    if wanted.disabled:
        log.warning("left out by %s: %s", settings.DISABLE, ", ".join(sorted(wanted.disabled)))
    _settings, _pid = wanted, os.getpid()
    if hooks is not None:
        hooks()
    # Some hooks may have been there before the agent was on, and nobody told.
    if role not in _SHORT_LIVED:
        tell_setup()
    log.info(
        "agent on (%s): data goes to %s, measured files are named from %s",
        role,
        wanted.directory,
        wanted.root,
    )


def _refuse(reason: str) -> None:
    """Leave the app as it is: nothing here can be traced, whatever the settings say."""
    global _refused  # noqa: PLW0603 - it is about the process
    _refused = True
    log.error("nothing is traced in process %d: %s is set, but %s", os.getpid(), settings.ENABLE, reason)


def boot() -> None:
    """Leave a record that an enabled process is here. A directory that can't be written is said, and no more."""
    from . import _native

    try:
        _native.boot()
    except _native.TraceError as error:
        log.warning("nothing can be traced: %s", error)


#: Roles of processes that are started for one piece of work: who starts them has said the same.
_SHORT_LIVED = frozenset({"child", "job"})
#: Roles of processes whose log somebody reads; a script's output is the app's alone.
_SERVING = frozenset({"web", "worker"})
_hooks: list[str] = []


def tell_setup(*hooks: str) -> None:
    """Add to that record what this process found, and which hooks it has put in place: as soon as there is one."""
    _hooks.extend(hook for hook in hooks if hook not in _hooks)
    if native is None:
        return
    rq = sys.modules.get("rq") if _hooks else None
    release = getattr(rq, "VERSION", None) or getattr(rq, "__version__", None)
    try:
        native.tell_setup(installation.coverage_release(), None if release is None else str(release), _hooks)
    except native.TraceError as error:
        # Without the record itself, that has been said already.
        say(logging.DEBUG, "not in the boot record: %s", error)


def _finish() -> None:
    # Handlers that were there before this one still come: what they trace is listened to.
    queues = sys.modules.get(f"{__package__}.queues")
    if queues is not None:
        guard("waiting for queues", queues.settle)
    finish()


def finish() -> None:
    """Write what is left. Called at exit, and before what skips it (``os._exit``, ``exec``)."""
    from . import _native, units

    guard("writing at the end of the process", lambda: units.say_written(_native.finish()))


def rest() -> None:
    """Stop listening for runs that have had no work for a while."""
    native.rest()
    say_unsaid()


def say_unsaid() -> None:
    """Log faults of what was written between requests: none of them asked for it."""
    for fault in native.unsaid():
        say(logging.WARNING, "data may be incomplete: writing what waited in process %d: %s", os.getpid(), fault)


def say(level: int, message: str, *args: object) -> None:
    """Log from within traced work: the app's handlers and formatters are not part of it."""
    if native is None:
        # The agent could not be switched on.
        log.log(level, message, *args)
        return
    before = native.held()
    try:
        # Within the block: a signal's handler may raise as soon as this has been done.
        native.hold(False)
        log.log(level, message, *args)
    finally:
        native.hold(before)


def tell_disabled(slug: str, run: str | None) -> None:
    """Put down for the verdict of a run that begins here what was left out in this process."""
    for name in sorted(current_settings().disabled | _impossible):
        lost = settings.PATCHES[name]
        if lost:
            why = f"{settings.DISABLE} has {name!r}" if name not in _impossible else "this interpreter is not known"
            guard("noting a loss", functools.partial(native.lost, slug, run, f"{lost}: {why}"))


def leave_out(name: str) -> None:
    """Say, and put down for the verdict of every run that begins here, that something can't be followed."""
    if name not in _impossible:
        _impossible.add(name)
        say(logging.WARNING, "not traced: %s (this interpreter is not known)", settings.PATCHES[name])


#: What was left out because it can't be done here.
_impossible: set[str] = set()


def lose(what: str) -> None:
    """Say, and put down for the verdict of the running code's run, that something can't be traced."""
    from . import _native

    say(logging.WARNING, "not traced: %s", what)

    def note() -> None:
        run = _native.current_run()
        if run is not None:
            _native.lost(*run, what)

    guard("noting a loss", note)


#: What was said already: slug, run and what is lost.
_said: set[tuple[str, str | None, str]] = set()
#: A process may live for months.
_REMEMBERED = 1000


def lose_once(what: str) -> None:
    """Do the same for something that may happen again and again; nothing outside traced work."""
    from . import _native

    def note() -> None:
        run = _native.current_run()
        if run is None or (*run, what) in _said:
            return
        if len(_said) >= _REMEMBERED:
            _said.clear()
        _said.add((*run, what))
        lose(what)

    guard("noting a loss", note)


def guard(doing: str, work: Callable[[], object]) -> None:
    """Run a piece of the agent; a fault in it is said and never reaches the app."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the app comes first, whatever it is
        say_fault(doing, error)


def say_fault(doing: str, error: Exception) -> None:
    """Log that a piece of the agent failed. Where it is the log that fails, nobody can be told."""
    let_through(error)
    try:
        say(logging.WARNING, "data may be incomplete: %s in process %d: %s", doing, os.getpid(), error)
    except Exception as again:  # noqa: BLE001 - an app's handler or filter may raise anything
        let_through(again)


def let_through(error: Exception) -> None:
    """Raise what interrupted a piece of the agent from outside again.

    RQ's timeout of a job is an exception that a signal's handler raises wherever the job happens to be. The agent's own
    faults are Python's exceptions or its own; that is neither.
    """
    if type(error).__module__.partition(".")[0] not in _OWN_FAULTS:
        raise error
