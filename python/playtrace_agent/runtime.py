"""Switches the agent on in this process, once, and off again when the process ends."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import logging
import os
import platform
import sys
import sysconfig
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def start(role: str, app_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Switch the agent on if ``ENABLE_PROFILE_COVERAGE`` is; say whether it is on now.

    The settings are those of ``environ`` (of the process's own environment without it).

    Raises:
        SettingsError: The settings can't be followed.
    """
    if _settings is not None:
        return True
    if not settings.enabled(environ):
        return False
    _starting.prepare()
    with _starting.lock:
        # A thread that waited finds the agent on, with everything that follows its work in place.
        if _settings is None:
            _start(role, app_dir, environ)
    return True


def changing() -> threading.RLock:
    """Return the lock of whoever switches the agent on or wraps an app for it. A forked child has a new one."""
    _starting.prepare()
    return _starting.lock


class _Starting:
    """The lock of the one thread that switches the agent on. A forked child gets a new one."""

    def __init__(self) -> None:
        self.forks = False
        self._renew()

    def prepare(self) -> None:
        """See to it that a fork doesn't leave the lock held by a thread that is not there."""
        if not self.forks:
            self.forks = True
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


_starting = _Starting()


def _start(role: str, app_dir: Path | None, environ: Mapping[str, str] | None) -> None:
    global _settings, _pid
    if not hasattr(sys, "monitoring"):
        raise settings.SettingsError(
            f"{settings.ENABLE} is set, but this is Python {platform.python_version()}: "
            "tracing needs sys.monitoring, which CPython has from 3.12 on"
        )
    wanted = settings.load(environ, app_dir)
    try:
        from . import _native
    except ImportError as error:
        # In a subinterpreter, say, as mod_wsgi makes them.
        raise settings.SettingsError(
            f"{settings.ENABLE} is set, but the agent can't be loaded here ({error}): trace in a process's main "
            "interpreter (mod_wsgi: WSGIApplicationGroup %{GLOBAL}), with the wheel that was built for this machine"
        ) from error
    from . import processes, propagation

    try:
        notices = _native.configure(
            directory=wanted.directory,
            root=wanted.root,
            config=wanted.config,
            prefix=wanted.prefix,
            granularity=wanted.granularity,
            role_name=role,
            program=f"playtrace-agent {__version__}, CPython {platform.python_version()}, native",
            always=wanted.always,
            **_installation(),
        )
    except _native.TraceError as error:
        raise settings.SettingsError(str(error)) from error
    for notice in notices:
        log.warning("coverage configuration: %s", notice)
    globals()["native"] = _native
    if "imports" not in wanted.disabled:
        _native.install_import_hook()
    propagation.install(wanted.disabled)
    processes.install(wanted.disabled)
    atexit.register(_finish)
    boot()
    if wanted.disabled:
        log.warning("left out by %s: %s", settings.DISABLE, ", ".join(sorted(wanted.disabled)))
    if role not in _SHORT_LIVED:
        tell_setup()
    _settings, _pid = wanted, os.getpid()
    log.info(
        "agent on (%s): data goes to %s, measured files are named from %s",
        role,
        wanted.directory,
        wanted.root,
    )


def boot() -> None:
    """Leave a record that an enabled process is here. A directory that can't be written is said, and no more."""
    from . import _native

    try:
        _native.boot()
    except _native.TraceError as error:
        log.warning("nothing can be traced: %s", error)


#: Roles of processes that are started for one piece of work: who starts them has said the same.
_SHORT_LIVED = frozenset({"child", "job"})
_hooks: list[str] = []


def tell_setup(*hooks: str) -> None:
    """Add to that record what this process found, and which hooks it has put in place."""
    from . import _native

    _hooks.extend(hooks)
    rq = sys.modules.get("rq") if _hooks else None
    release = getattr(rq, "VERSION", None) or getattr(rq, "__version__", None)
    try:
        _native.tell_setup(_coverage_release(), None if release is None else str(release), _hooks)
    except _native.TraceError as error:
        # Without the record itself, that has been said already.
        say(logging.DEBUG, "not in the boot record: %s", error)


def _coverage_release() -> str | None:
    """Return the release of coverage.py that this process would import, without importing it."""
    try:
        coverage = importlib.util.find_spec("coverage")
        if coverage is None or coverage.origin is None:
            return None
        names = [path.name for path in Path(coverage.origin).parent.parent.glob("coverage-*.dist-info")]
    except (ImportError, ValueError, OSError):
        return None
    return names[0].removeprefix("coverage-").removesuffix(".dist-info") if names else None


def _installation() -> dict[str, list[Path]]:
    """Say where code lies that is not the app's."""
    stdlib = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")}
    third_party = {
        sysconfig.get_paths(scheme)[name]
        for scheme in sysconfig.get_scheme_names()
        for name in ("platlib", "purelib", "scripts")
    }
    tracers = {str(Path(__file__).parent)}
    coverage = importlib.util.find_spec("coverage")
    if coverage is not None and coverage.origin is not None:
        tracers.add(str(Path(coverage.origin).parent))
    return {
        "stdlib": [Path(path) for path in sorted(stdlib)],
        "third_party": [Path(path) for path in sorted(third_party)],
        "tracers": [Path(path) for path in sorted(tracers)],
    }


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


def say(level: int, message: str, *args: object) -> None:
    """Log from within traced work: the app's handlers and formatters are not part of it."""
    if native is None:
        # The agent could not be switched on.
        log.log(level, message, *args)
        return
    before = native.held()
    try:
        # Within the block: a signal's handler may raise as soon as this has been done.
        native.hold(None)
        native.step_aside()
        log.log(level, message, *args)
    finally:
        native.step_back()
        native.hold(before)


def tell_disabled(slug: str, run: str | None) -> None:
    """Put down for the verdict of a run that begins here what was left out in this process."""
    for name in sorted(current_settings().disabled):
        lost = settings.PATCHES[name]
        if lost:
            message = f"{lost}: {settings.DISABLE} has {name!r}"
            guard("noting a loss", functools.partial(native.lost, slug, run, message))


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
    """Log that a piece of the agent failed."""
    let_through(error)
    say(logging.WARNING, "data may be incomplete: %s in process %d: %s", doing, os.getpid(), error)


def let_through(error: Exception) -> None:
    """Raise what interrupted a piece of the agent from outside again.

    RQ's timeout of a job is an exception that a signal's handler raises wherever the job happens to be. The agent's own
    faults are Python's exceptions or its own; that is neither.
    """
    if type(error).__module__.partition(".")[0] not in _OWN_FAULTS:
        raise error
