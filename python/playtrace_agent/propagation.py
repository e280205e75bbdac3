"""Follows traced work into threads, pools and child processes.

``ContextVar`` values follow asyncio's tasks by themselves, but neither a new thread nor a pool. Each piece of work that
goes elsewhere is a unit of its own: the verdict waits for it, and names it if it never ends.
"""

from __future__ import annotations

import _thread
import functools
import importlib
import operator
import os
import subprocess
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import thread as futures_thread
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any

from . import _native, children, names, onimport, processes, units

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import ModuleType

_UNIT = "_playtrace_unit"
_FOLLOWED = "_playtrace_follows"
_installed = False
#: Callbacks from there pass a result on to those who wait for it.
_PLUMBING = ("asyncio.", "concurrent.futures.", "playtrace_agent.")
#: loky, and the copy of it that joblib has.
_LOKY = ("loky", "joblib.externals.loky")
#: Functions that are the whole life of threads or processes in the service of whoever asks, and classes of such
#: threads, with the place of an initializer among the function's arguments.
_serving: dict[int, tuple[object, int | None]] = {}


#: What is submitted to a pool of threads, while the pool may make a thread for it. Greenlets of one thread may do so at
#: once.
_submitting: ContextVar[_native.Token | None] = ContextVar("playtrace_agent.submitting", default=None)


def install(disabled: Container[str] = ()) -> None:
    """Wrap what starts work elsewhere, but for what is left out. Once."""
    global _installed  # noqa: PLW0603 - the process has one `threading`
    if _installed:
        return
    _installed = True
    if "threads" not in disabled:
        thread: Any = threading.Thread
        thread.start = _thread_start(thread.start)
        thread._bootstrap_inner = _thread_main(thread._bootstrap_inner)
        # `threading` has its own references to the originals.
        for name in ("start_new_thread", "start_new"):
            setattr(_thread, name, _start_new_thread(getattr(_thread, name)))
    serves_all(futures_thread._worker, initializer=2)
    if "thread-pools" not in disabled:
        ThreadPoolExecutor.submit = _submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        Future.add_done_callback = add_done_callback(Future.add_done_callback)  # type: ignore[method-assign]
    if "subprocess" not in disabled:
        follow_programs(subprocess)
    onimport.install({**(_left_out() if "multiprocessing" in disabled else _followed()), **_greenlets(disabled)})


def _followed() -> dict[str, onimport.Change]:
    return {
        **_foreign(),
        "multiprocessing.process": _change("multiprocess", "change_process"),
        "multiprocessing.spawn": _change("multiprocess", "change_spawn"),
        "multiprocessing.queues": _change("queues", "change_queues"),
        "multiprocessing.managers": _change("managers", "change_managers"),
        "multiprocessing.pool": _change("pools", "change_pool"),
        "concurrent.futures.process": _change("executors", "change_executor"),
        **{f"{package}.process_executor": _change("lokys", "change_executor") for package in _LOKY},
        **{f"{package}.backend.spawn": _change("lokys", "change_spawn") for package in _LOKY},
    }


def _greenlets(disabled: Container[str]) -> dict[str, onimport.Change]:
    from . import greenlets

    return greenlets.changes(disabled)


def _left_out() -> dict[str, onimport.Change]:
    """Return the changes without which processes and threads for all would be credited to whoever starts them."""
    return {
        **_foreign(),
        "multiprocessing.process": _change("foreign", "change_process"),
        "multiprocessing.queues": _change("foreign", "change_queues"),
        "multiprocessing.managers": _change("managers", "change_managers"),
        "multiprocessing.pool": _change("foreign", "change_fork"),
        "concurrent.futures.process": _change("foreign", "change_executor"),
        **{f"{package}.process_executor": _change("foreign", "change_loky") for package in _LOKY},
    }


def _foreign() -> dict[str, onimport.Change]:
    return {
        **{f"{package}.backend.resource_tracker": _change("lokys", "change_tracker") for package in _LOKY},
        "billiard.pool": _change("foreign", "change_fork"),
        "multiprocess.pool": _change("foreign", "change_fork"),
        "aiosqlite.core": _change("databases", "change_aiosqlite"),
        # Their calls come with a context of their own.
        "anyio._backends._asyncio": _serving_threads("WorkerThread"),
        "trio._core._thread_cache": _serving_threads("WorkerThread._work"),
    }


def _change(name: str, function: str) -> onimport.Change:
    """Return a change of this package's, whose module is imported when it is needed."""

    def change(module: ModuleType) -> None:
        getattr(importlib.import_module(f"{__package__}.{name}"), function)(module)

    return change


def _serving_threads(name: str) -> onimport.Change:
    """Return a change of nothing: what has this name is the life, or the class, of threads that serve all."""
    return lambda module: serves_all(operator.attrgetter(name)(module))


def serves_all(target: Any, *, initializer: int | None = None) -> None:
    """Let threads and processes with this target, or threads of this class, belong to nobody.

    They outlive the work that starts them. The target's argument of that index is an initializer, the next one the
    initializer's arguments: they are the work of whoever starts the thread or process.
    """
    target = _function(target)
    _serving[id(target)] = target, initializer


def served(worker: Any) -> tuple[object, int | None] | None:
    """Return what `serves_all` was told of this thread or process; ``None`` if it does not serve all."""
    target = vars(worker).get("_target")
    return _serving.get(id(_function(target))) or _serving.get(id(type(worker)))


def _function(target: Any) -> Any:
    return target.__func__ if type(target) is MethodType else target


def _thread_start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        submitter = _submitting.get()
        if not (submitter is not None or _native.traced()):
            return original(self)
        # A subclass may have its own idea of attributes.
        own = self.__dict__
        if own.get("_ident") is not None or not own.get("_initialized"):
            return original(self)  # refuses
        serving = served(self)
        if serving is not None:
            return _start_serving(original, self, serving[1], submitter)
        unit = units.begin_within("thread", what=names.attribute(self, "_name"))
        if unit is None:
            return original(self)
        own[_UNIT] = unit
        try:
            return original(self)
        except BaseException:
            if own.pop(_UNIT, None) is not None:
                units.end(unit)
            raise

    return start


def _start_serving(
    original: Callable[[threading.Thread], None],
    thread: Any,
    initializer: int | None,
    submitter: _native.Token | None,
) -> None:
    """Start a thread that belongs to nobody; its initializer belongs to what submits, or else to what is running."""
    task = None
    before = _native.held()
    try:
        # All within the block: a signal's handler may raise as soon as something has been done.
        if submitter is not None:
            _native.hold(submitter)
        args = thread._args
        if initializer is not None and len(args) > initializer + 1 and callable(args[initializer]):
            unit = units.begin_within("thread", what=f"{names.function(args[initializer])}, an initializer")
            if unit is not None:
                task = Task(args[initializer], unit)
                thread._args = (*args[:initializer], task, *args[initializer + 1 :])
        _native.hold(None)
        original(thread)
    except BaseException:
        if task is not None:
            task.end()
        raise
    finally:
        _native.hold(before)


def _thread_main(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    # Bound here: a daemon thread may end when the module's names are gone.
    enter, end = _native.enter, units.end

    @functools.wraps(original)
    def _bootstrap_inner(self: threading.Thread) -> None:
        unit = self.__dict__.pop(_UNIT, None)
        if unit is None:
            return original(self)
        enter(unit)
        try:
            return original(self)
        finally:
            enter(None)
            end(unit)

    return _bootstrap_inner


def _start_new_thread(original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def start_new_thread(*args: Any) -> int:
        if not _native.traced() or not args or not callable(args[0]):
            return original(*args)
        unit = units.begin_within("thread", what=names.function(args[0]))
        if unit is None:
            return original(*args)
        task = Task(args[0], unit)
        try:
            return original(task, *args[1:])
        except BaseException:
            task.end()
            raise

    return start_new_thread


def _submit(original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        unit = units.begin_within("thread", what=names.function(fn)) if _native.traced() else None
        if unit is None:
            return original(self, fn, *args, **kwargs)
        task = Task(fn, unit)
        # A thread that the pool makes now lives on after this work: it must not belong to it.
        before, outer = _native.held(), _submitting.get()
        try:
            # Within the block: a signal's handler may raise as soon as something has been done.
            _submitting.set(before if isinstance(before, _native.Token) else None)
            _native.hold(None)
            future = original(self, task, *args, **kwargs)
        except BaseException:
            task.end()
            raise
        finally:
            # Each is a call, after which a signal's handler may raise.
            try:
                _native.hold(before)
            finally:
                _submitting.set(outer)
        future.add_done_callback(task.settled)
        return future

    return submit


class Task:
    """A call that a pool makes for traced work."""

    def __init__(self, fn: Callable[..., Any], unit: units.Unit) -> None:
        self.fn = fn
        self.unit: units.Unit | None = unit

    def __repr__(self) -> str:
        """Return the function's: what a thread can't raise is reported with it."""
        return repr(self.fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the call."""
        unit = self.unit
        if unit is None:
            return self.fn(*args, **kwargs)
        try:
            return _native.call_within(unit, self.fn, *args, **kwargs)
        finally:
            self.end()

    def settled(self, _future: Future[Any] | None = None) -> None:
        """End a call that was cancelled before it began."""
        self.end()

    def dropped(self) -> None:
        """End a call whose pool was terminated before it began."""
        self.end()

    def end(self) -> None:
        """End the unit, once."""
        unit, self.unit = self.unit, None
        if unit is not None:
            units.end(unit)


def add_done_callback(original: Callable[..., None]) -> Callable[..., None]:
    """Return a method of futures whose callbacks are work of whoever adds them."""

    @functools.wraps(original)
    def add(self: Future[Any], fn: Callable[[Future[Any]], object]) -> None:
        # It will be called by a thread of the pool, which is nobody's.
        if not _native.traced():
            return original(self, fn)
        if names.module(fn).startswith(_PLUMBING):
            ours = type(fn) is MethodType and type(fn.__self__) is Task
            return original(self, fn if ours else Carried(fn))
        unit = units.begin_within("thread", what=f"{names.function(fn)}, when a future is done")
        return original(self, fn if unit is None else Task(fn, unit))

    return add


class Carried:
    """A callback of the standard library's own, which wakes what waits for a future in an event loop.

    It goes on under the token of whoever waits, without a unit of its own: what it does belongs to the waiting.
    """

    __slots__ = ("fn", "token")

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.token = _native.held()

    def __repr__(self) -> str:
        """Return the function's, for whoever logs what is called."""
        return repr(self.fn)

    def __call__(self, *args: Any) -> Any:
        """Call it, once under the token: what is called may outlive the work."""
        before = _native.held()
        try:
            _native.hold(self.token)
            self.token = None
            return self.fn(*args)
        finally:
            _native.hold(before)


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
