"""The engine on top of coverage.py, for Pythons without ``sys.monitoring`` (3.10 and 3.11).

coverage.py collects for a whole process: whose code it sees, it can't tell. So its trace function is set in a thread
just as long as one context's work runs there, and collects for that alone. How it is set and what it collected is here;
when, and whose that is, the native part says (`crates/agent/src/engine.rs`).
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

    from . import _native
    from .settings import Settings

    #: Whose, the file, its module, line numbers.
    _Lines: TypeAlias = tuple[_native.Owner, str, str | None, list[int]]

log = logging.getLogger("playtrace_agent")

#: Bound once: the agent's own calls of them are not to be those of whoever replaces them.
_settrace, _gettrace = sys.settrace, sys.gettrace


class CoverageEngine:
    """Sets the trace function, and reports what it collected."""

    def __init__(self, native: ModuleType, wanted: Settings) -> None:
        """Prepare; coverage.py is started by the first traced work."""
        self._native = native
        self._options = options(wanted.config, wanted.root)
        self._said: set[tuple[tuple[str, str | None], str]] = set()
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew: what was collected is the parent process's."""
        self._starting = threading.RLock()
        self._fetching = threading.RLock()
        self._install: Callable[..., Any] | None = None
        #: Where coverage.py keeps each trace function that it made.
        self._made: list[object] = []
        self._fetched: list[_Lines] = []
        #: What is being collected, and the latest of it by thread.
        self._collected: list[_Collected] = []
        self._current: dict[int, _Collected] = {}

    def admit(self) -> str | None:
        """Say why a unit that begins here can't be traced; ``None`` if it can be."""
        try:
            refused = None if self._native.traced() else self._elsewhere()
            if refused is None:
                self._start()
        except Exception as error:  # noqa: BLE001 - the app comes first, whatever it is
            runtime.let_through(error)
            return f"coverage.py can't be started: {error}"
        return refused

    def _elsewhere(self) -> str | None:
        """Say why nothing that begins here can be traced."""
        if _in_greenlet():
            return "the coverage engine does not trace greenlets (gevent, eventlet)"
        if _in_foreign_loop():
            return f"the coverage engine does not trace where {_FOREIGN}"
        if not self._native.contexts_followed() and _in_event_loop():
            return "the coverage engine does not trace here where an event loop runs: contexts are not followed"
        if coverage.Coverage.current() is not None:
            return "coverage.py measures this process already"
        if _gettrace() is not None:
            return "a debugger or another tracer is at work in this thread (sys.gettrace())"
        return None

    def _start(self) -> Callable[..., Any]:
        """Return what makes a trace function, as coverage.py gives it to new threads.

        It is stopped at once: what it made goes on making them, and neither what the app measures nor its threads have
        to do with it.
        """
        with self._starting:
            if self._install is not None:
                return self._install
            made = coverage.Coverage(**self._options)
            made.set_option("run:disable_warnings", list(_WARNINGS))
            before, hook = _gettrace(), threading.gettrace()
            try:
                made.start()
                tracer, install = _gettrace(), threading.gettrace()
                made.stop()
            finally:
                threading.settrace(hook)
                _settrace(before)
            kept = getattr(getattr(install, "__self__", None), "tracers", None)
            if type(tracer).__name__ != "CTracer" or not isinstance(getattr(tracer, "data", None), dict):
                raise RuntimeError("its C extension is not installed, or COVERAGE_CORE names another core than ctrace")
            if install is None or not isinstance(kept, list):
                raise RuntimeError("this release does not give new threads a trace function as others do")
            self._install, self._made = install, kept
            return install

    def arm(self, owner: _native.Owner) -> Callable[[], Any] | None:
        """Prepare the trace function for this thread; what is returned sets it, and is to be called at the very end.

        It is told of the frames that run already as if they were entered now: what they go on to execute is to be seen.
        """
        try:
            if _gettrace() is not None:
                self._lose("a debugger or another tracer is at work in a thread of traced work")
                return None
            if _in_foreign_loop():
                # The next callback would run with the trace function of this one, in another context.
                self._lose(f"traced work went on where {_FOREIGN}")
                return None
            install = self._install or self._start()
            frames: list[FrameType] = []
            frame: FrameType | None = sys._getframe(1)
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
            collected = _Collected({}, owner, _tracer(install))
            # A thread keeps its own until that is taken away.
            self._made.clear()
            # In this order: whoever fetches meanwhile keeps what is the latest of a thread.
            self._current[threading.get_ident()] = collected
            self._collected.append(collected)
            return _begin(collected, frames)
        except Exception as error:  # noqa: BLE001 - the app comes first, whatever it is
            _settrace(None)
            runtime.let_through(error)
            self._lose(f"coverage.py could not trace in a thread of traced work: {error!r}")
            return None

    def disarmed(self) -> None:
        """Note that the trace function was taken away from this thread.

        One that was not stopped would at its end take away whatever trace function the thread has by then; one that was
        does so when it is called, as what a frame has been told of.
        """
        collected = self._current.get(threading.get_ident())
        if collected is None:
            return
        collected.tracer.stop()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_trace is collected.tracer:
                frame.f_trace = None
            frame = frame.f_back

    def drain(self) -> list[_Lines]:
        """Return what was executed since the last time: whose it is, file, its module, lines.

        Lines are taken out one by one: threads at work add to the same sets, and what they add in between stays.
        """
        with self._fetching:
            for collected in [*self._collected]:
                for file, executed in [*collected.data.items()]:
                    lines: list[int] = []
                    if executed:
                        # Before it is filled: an exception of a signal's handler leaves it to the next one who asks.
                        self._fetched.append((collected.owner, file, _modules().get(file), lines))
                    while executed:
                        lines.append(executed.pop())
            current = {id(collected) for collected in self._current.values()}
            self._collected = [collected for collected in self._collected if id(collected) in current]
            fetched, self._fetched = self._fetched, []
        return fetched

    def _lose(self, reason: str) -> None:
        """Say, and put down for the verdict of the running code's run, that data is lost. Once a run and reason.

        Not by `runtime.lose`, which holds the context, which would set the trace function.
        """
        run = self._native.current_run()
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
    """What one trace function collects: lines by file, and whose they are."""

    data: dict[str, set[int]]
    owner: _native.Owner
    tracer: Any


def _tracer(install: Callable[..., Any]) -> Any:
    """Make a tracer for this thread."""
    _settrace(install)
    _nothing()
    tracer = _gettrace()
    _settrace(None)
    return tracer


def _begin(collected: _Collected, frames: list[FrameType]) -> Callable[[], Any]:
    """Tell a tracer which frames run, the outermost first.

    What is returned tells it of the innermost. Whenever a tracer is told of a frame, it sets itself as the thread's
    trace function. Until it is taken away, in the same line, no line of ours begins and no function of Python's is
    entered: the tracer would count it as the frame's.
    """
    tracer = collected.tracer
    tracer.data = collected.data
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


#: uvloop, say.
_FOREIGN = "an event loop runs that is not asyncio's own (uvloop): it enters contexts by itself"


def _in_foreign_loop() -> bool:
    """Say whether an event loop runs that does not run its callbacks by `Context.run`, as asyncio's own do."""
    events: Any = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is None:
        return False
    base: Any = sys.modules.get("asyncio.base_events")
    return base is None or not isinstance(loop, base.BaseEventLoop)


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
