"""The engine on top of coverage.py, for Pythons without ``sys.monitoring`` (3.10 and 3.11).

coverage.py collects for a whole process: whose code it sees, it can't tell. So one run at a time is let in, and the
trace function is set in a thread just as long as the agent knows that what runs there is that run's. What is let in,
what was collected and how the trace function is set is here; when, the native part says (`crates/agent/src/engine.rs`).
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import coverage

from . import runtime
from .coverage_settings import options

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import TypeAlias

    from .settings import Settings

    #: A run of a profile.
    Run: TypeAlias = tuple[str, str | None]
    #: The run that is let in, and, where requests and jobs are told apart, which of them.
    Key: TypeAlias = tuple[Run, object]

log = logging.getLogger("playtrace_agent")

#: Seconds for which work of one run waits for the end of another one's. Servers and clients give up after 30 and more.
WAIT = 10.0
#: coverage.py keeps each trace function that it made until it is stopped.
_ENOUGH = 500

#: Bound once: the agent's own calls of them are not to be those of whoever replaces them.
_settrace, _gettrace = sys.settrace, sys.gettrace


class CoverageEngine:
    """Lets one run in, and reports its lines."""

    def __init__(self, native: ModuleType, wanted: Settings, *, by_unit: bool) -> None:
        """Prepare; coverage.py is started by the first traced work."""
        self._native = native
        self._options = options(wanted.config, wanted.root)
        self._by_unit = by_unit
        #: Made by this engine, here or in the process that it was forked from.
        self._ours: list[coverage.Coverage] = []
        self._said: set[tuple[Run, str]] = set()
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew: what was collected, and who is let in, is the parent process's."""
        self._changed = threading.Condition()
        self._fetching = threading.RLock()
        self._coverage: coverage.Coverage | None = None
        self._key: Key | None = None
        self._holders = 0
        self._install: Callable[..., Any] | None = None
        self._armed = 0
        self._fetched: list[tuple[bool, str, str | None, list[int]]] = []
        #: What is being collected, and the latest of it by thread.
        self._collected: list[_Collected] = []
        self._current: dict[int, _Collected] = {}

    def admit(self, slug: str, run: str | None) -> str | None:
        """Let a unit of a run in, waiting for others if need be; or say why it can't be traced."""
        ours, traced = (slug, run), self._native.traced()
        within = traced and self._native.current_run() == ours
        refused = None if traced else self._elsewhere()
        if refused:
            return refused
        key = (ours, object() if self._by_unit else None)
        try:
            with self._changed:
                if self._enter(key, within=within):
                    return None
                if traced:
                    return "it is part of another run's work, and the coverage engine traces one at a time in a process"
                if self._changed.wait_for(lambda: self._enter(key, within=False), WAIT):
                    return None
        except Exception as error:  # noqa: BLE001 - the app comes first, whatever it is
            runtime.let_through(error)
            return f"coverage.py can't be started: {error}"
        return (
            f"other traced work was not over in this process after {WAIT:.0f} s, "
            "and the coverage engine traces one run at a time in a process"
        )

    def release(self, lingering: bool) -> None:
        """Note that a unit is over. ``lingering``: threads of it are not, and go on being traced until others come."""
        with self._changed:
            self._holders -= 1
            if not self._holders and not lingering and self._armed > _ENOUGH:
                self._stop()
            self._changed.notify_all()

    def _enter(self, key: Key, *, within: bool) -> bool:
        joins = self._key is not None and self._key[0] == key[0] if within else key == self._key
        if self._holders and not joins:
            return False
        if not joins and self._key is not None and self._native.engine_over():
            # A thread's trace function goes on until its maker is stopped.
            self._stop()
        self._start()
        if not joins:
            self._key = key
        self._holders += 1
        return True

    def _elsewhere(self) -> str | None:
        """Say why nothing that begins here can be traced."""
        if _in_greenlet():
            return "the coverage engine does not trace greenlets (gevent, eventlet)"
        if _in_event_loop():
            return "the coverage engine does not trace where an event loop runs (ASGI): Python 3.12 and newer do"
        current = coverage.Coverage.current()
        if current is not None and all(current is not ours for ours in self._ours):
            return "coverage.py measures this process already"
        if _gettrace() is not None:
            return "a debugger or another tracer is at work in this thread (sys.gettrace())"
        return None

    def _start(self) -> None:
        if self._install is not None:
            return
        made = self._coverage
        if made is None:
            made = coverage.Coverage(**self._options)
            made.set_option("run:disable_warnings", list(_WARNINGS))
            self._ours.append(made)
        before, hook = _gettrace(), threading.gettrace()
        try:
            made.start()
            tracer, install = _gettrace(), threading.gettrace()
        finally:
            # Threads of others are not ours, and this one is not at it yet.
            threading.settrace(hook)
            _settrace(before)
        self._coverage = made
        if type(tracer).__name__ != "CTracer" or not isinstance(getattr(tracer, "data", None), dict) or install is None:
            made.stop()
            raise RuntimeError("its C extension is not installed, or COVERAGE_CORE names another core than ctrace")
        self._install, self._armed = install, 0

    def _stop(self) -> None:
        """Stop, in whatever thread something is still traced."""
        self._install = None
        made = self._coverage
        if made is None or coverage.Coverage.current() is not made:
            self._coverage = None
            return
        before, hook = _gettrace(), threading.gettrace()
        try:
            made.stop()
        finally:
            threading.settrace(hook)
            _settrace(before)

    def arm(self, by_import: bool) -> Callable[[], Any] | None:
        """Prepare the trace function for this thread; what is returned sets it, and is to be called at the very end.

        It is told of the frames that run already as if they were entered now: what they go on to execute is to be seen.
        """
        try:
            if _gettrace() is not None:
                self._lose("a debugger or another tracer is at work in a thread of traced work")
                return None
            if self._install is None:
                return None
            frames: list[FrameType] = []
            frame: FrameType | None = sys._getframe(1)
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
            self._armed += 1
            collected = _Collected({}, by_import)
            # In this order: whoever fetches meanwhile keeps what is the latest of a thread.
            self._current[threading.get_ident()] = collected
            self._collected.append(collected)
            return _begin(self._install, frames, collected.data)
        except Exception as error:  # noqa: BLE001 - the app comes first, whatever it is
            _settrace(None)
            runtime.let_through(error)
            self._lose(f"coverage.py could not trace in a thread of traced work: {error!r}")
            return None

    def drain(self) -> list[tuple[bool, str, str | None, list[int]]]:
        """Return what was executed since the last time: whether by an import, file, its module, lines.

        Lines are taken out one by one: threads at work add to the same sets, and what they add in between stays.
        """
        with self._fetching:
            for collected in [*self._collected]:
                for file, executed in [*collected.data.items()]:
                    lines: list[int] = []
                    if executed:
                        # Before it is filled: an exception of a signal's handler leaves it to the next one who asks.
                        self._fetched.append((collected.by_import, file, _modules().get(file), lines))
                    while executed:
                        lines.append(executed.pop())
            current = {id(collected) for collected in self._current.values()}
            self._collected = [collected for collected in self._collected if id(collected) in current]
            fetched, self._fetched = self._fetched, []
        return fetched

    def _lose(self, reason: str) -> None:
        """Say, and put down for the verdict of the run that is let in, that data is lost. Once a run and reason.

        Not by `runtime.lose`, which holds the context, which would set the trace function.
        """
        run = self._native.current_run() or (self._key[0] if self._key else None)
        if run is None or (run, reason) in self._said:
            return
        self._said.add((run, reason))
        log.warning("not traced: %s", reason)
        self._native.lost(*run, reason)


#: coverage.py's warnings are about a `coverage run`, and an app may make errors of warnings.
_WARNINGS = (
    "already-imported",
    "dynamic-conflict",
    "include-ignored",
    "module-not-imported",
    "module-not-measured",
    "module-not-python",
    "no-data-collected",
    "trace-changed",
)


class _Collected(NamedTuple):
    """What one trace function collects: lines by file."""

    data: dict[str, set[int]]
    by_import: bool


def _begin(install: Callable[..., Any], frames: list[FrameType], data: dict[str, set[int]]) -> Callable[[], Any]:
    """Make a tracer for this thread, and tell it which frames run, the outermost first.

    What is returned tells it of the innermost. Whenever a tracer is told of a frame, it sets itself as the thread's
    trace function. Until it is taken away, in the same line, no line of ours begins and no function of Python's is
    entered: the tracer would count it as the frame's.
    """
    _settrace(install)
    _nothing()
    tracer: Any = _gettrace()
    _settrace(None)
    tracer.data = data
    if not frames:
        return functools.partial(_settrace, tracer)
    for frame in reversed(frames[1:]):
        tracer(frame, "call", None), _settrace(None)
    return functools.partial(tracer, frames[0], "call", None)


def _nothing() -> None:
    """Be called: only a call has the trace function make its tracer."""


def _in_greenlet() -> bool:
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and greenlet.getcurrent().parent is not None


def _in_event_loop() -> bool:
    events: Any = sys.modules.get("asyncio.events")
    if events is not None and events._get_running_loop() is not None:
        return True
    trio = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.current_task() is not None
    except RuntimeError:
        return False


_known: tuple[int, dict[str, str]] = (0, {})


def _modules() -> dict[str, str]:
    """Return the names of modules by file, as far as they are known: packages may be what is to be measured."""
    global _known  # noqa: PLW0603 - the process has one `sys.modules`
    count = len(sys.modules)
    if _known[0] != count:
        named = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) if name != "__main__" else None
            if isinstance(file, str):
                named[file] = name
        _known = count, named
    return _known[1]
