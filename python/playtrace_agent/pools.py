"""Follows traced work into ``multiprocessing.Pool`` and its ``ThreadPool``.

A pool's processes and threads are others' too, so they belong to nobody; each call that traced work submits is a unit
of its own. The code that a pool runs for it in this process (the iterable of ``imap``, callbacks) belongs to that work.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Protocol

from . import _native, names, picklers, runtime, serving, thread_pools, units, waiting, workitems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

#: On a pool's cache of results: what is under way for traced work, by job.
_JOBS = "_playtrace_jobs"


class _Part(Protocol):
    """What is under way for a job of a pool."""

    def settled(self) -> None:
        """The job has its result."""

    def dropped(self) -> None:
        """The pool was terminated before that."""


def change_pool(module: ModuleType) -> None:
    """Follow ``multiprocessing.pool.Pool`` and ``ThreadPool``."""
    pool: Any = module.Pool
    for thread in (pool._handle_workers, pool._handle_tasks, pool._handle_results):
        serving.serves_all(thread)
    serving.serves_all(module.worker, initializer=2)
    pool._repopulate_pool_static = staticmethod(_repopulate(pool._repopulate_pool_static, module._PoolCache))
    pool.apply_async = _apply_async(pool.apply_async, module)
    pool._map_async = _map_async(pool._map_async)
    pool._guarded_task_generation = _task_generation(pool._guarded_task_generation, module)
    pool._terminate_pool = _terminate_pool(pool._terminate_pool)
    pool.terminate = _terminate(pool.terminate)
    cache: Any = module._PoolCache
    cache.__delitem__ = _delitem(cache.__delitem__)


def _task(module: ModuleType, pool: Any, fn: Any, args: Any, kwds: Any) -> tuple[Any, Any, Any, _Part] | None:
    """Return the function, arguments and keywords that stand for a call in a pool, and what is under way for it."""
    chunk = fn is module.mapstar or fn is module.starmapstar
    what = names.function(args[0][0] if chunk else fn)
    if isinstance(pool, module.ThreadPool):
        unit = units.begin_within("thread", what=what)
        if unit is None:
            return None
        task = thread_pools.Task(fn, unit)
        return task, args, kwds, task
    promised = workitems.call(f"{what} in a process pool", fn, args, kwds, picklers.of_pool(pool))
    if promised is None:
        return None
    call, handed = promised
    if pool._initializer is not None:
        waiting.needs_workers(pool._cache, handed)
    return call, (), {}, handed


def _repopulate(original: Callable[..., None], cache: type) -> Callable[..., None]:
    @functools.wraps(original)
    def _repopulate_pool_static(*args: Any) -> None:
        # The thread that replaces workers has the pool's cache as its first argument; others start the first workers.
        of_thread = vars(threading.current_thread()).get("_args") or (None,)
        if isinstance(of_thread[0], cache):
            waiting.for_who_waits(of_thread[0], original, *args)
        else:
            original(*args)

    return _repopulate_pool_static


def _apply_async(original: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @functools.wraps(original)
    def apply_async(
        self: Any,
        func: Any,
        args: Any = (),
        kwds: Any = {},  # noqa: B006 - the original's
        callback: Any = None,
        error_callback: Any = None,
    ) -> Any:
        if not _native.traced() or self._state != module.RUN:
            return original(self, func, args, kwds, callback, error_callback)
        parts: list[_Part] = []
        callback, error_callback = _callbacks(parts, callback, error_callback)
        task = _task(module, self, func, args, kwds)
        if task is not None:
            func, args, kwds, part = task
            parts.append(part)
        try:
            result = original(self, func, args, kwds, callback, error_callback)
        except BaseException:
            _drop(parts)
            raise
        _watch(self._cache, result._job, parts)
        return result

    return apply_async


def _map_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _map_async(
        self: Any,
        func: Any,
        iterable: Any,
        mapper: Any,
        chunksize: Any = None,
        callback: Any = None,
        error_callback: Any = None,
    ) -> Any:
        parts: list[_Part] = []
        if _native.traced():
            callback, error_callback = _callbacks(parts, callback, error_callback)
        try:
            result = original(self, func, iterable, mapper, chunksize, callback, error_callback)
        except BaseException:
            _drop(parts)
            raise
        _watch(self._cache, result._job, parts)
        return result

    return _map_async


def _task_generation(original: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @functools.wraps(original)
    def _guarded_task_generation(self: Any, result_job: int, func: Any, iterable: Any) -> Any:
        tasks = original(self, result_job, func, iterable)
        unit = units.begin_within("thread", what=f"tasks of {names.function(func)} for a pool")
        if unit is None:
            return tasks
        feed = _Feed(self, module, tasks, unit)
        _watch(self._cache, result_job, [feed])
        return feed

    return _guarded_task_generation


class _UnitOfJob:
    """A unit of work that ends with a pool's job, if not before."""

    def __init__(self, unit: units.Unit) -> None:
        self.unit: units.Unit | None = unit

    def settled(self) -> None:
        """The job is over."""
        self.dropped()

    def dropped(self) -> None:
        """Nothing of the unit will run any more."""
        unit, self.unit = self.unit, None
        if unit is not None:
            units.end(unit)


class _Feed(_UnitOfJob):
    """The tasks of one job, made one by one in the thread that serves the pool."""

    def __init__(self, pool: Any, module: ModuleType, tasks: Iterator[Any], unit: units.Unit) -> None:
        super().__init__(unit)
        self.pool, self.module, self.tasks = pool, module, tasks

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> Any:
        unit = self.unit
        try:
            return self._next() if unit is None else _native.call_within(unit, self._next)
        except BaseException:
            self.dropped()
            raise

    def _next(self) -> tuple[Any, ...]:
        # The app's iterable runs here.
        task: tuple[Any, ...] = next(self.tasks)
        job, index, fn, args, kwds = task
        # How the iterable's own exception travels; the worker knows the function by its identity.
        if self.unit is None or fn is self.module._helper_reraises_exception:
            return task
        followed = _task(self.module, self.pool, fn, args, kwds)
        if followed is None:
            return task
        fn, args, kwds, part = followed
        _watch(self.pool._cache, job, [part])
        return job, index, fn, args, kwds


class _Callbacks(_UnitOfJob):
    """The functions that wait for a job's result. At most one of them is called, in the thread that serves the pool."""

    def following(self, callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the callback as traced work."""

        @functools.wraps(callback, updated=())
        def follow(value: Any) -> Any:
            unit = self.unit
            if unit is None:
                return callback(value)
            try:
                return _native.call_within(unit, callback, value)
            finally:
                self.dropped()

        return follow


def _callbacks(parts: list[_Part], *callbacks: Any) -> tuple[Any, ...]:
    if not any(callable(callback) for callback in callbacks):
        return callbacks
    unit = units.begin_within("thread", what="a pool's callback")
    if unit is None:
        return callbacks
    both = _Callbacks(unit)
    parts.append(both)
    return tuple(both.following(callback) if callable(callback) else callback for callback in callbacks)


def _watch(cache: Any, job: int, parts: list[_Part]) -> None:
    """Keep in mind what is under way for a job until it has its result, which may be now."""
    if not parts:
        return
    jobs = vars(cache).setdefault(_JOBS, {})
    jobs.setdefault(job, []).extend(parts)
    if job not in cache:
        _settle(jobs, job)


def _settle(jobs: dict[int, list[_Part]], job: int) -> None:
    for part in jobs.pop(job, ()):
        part.settled()


def _drop(parts: Iterable[_Part]) -> None:
    for part in parts:
        part.dropped()


def _delitem(original: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    @functools.wraps(original)
    def __delitem__(self: Any, item: int) -> None:  # noqa: N807 - it is one
        original(self, item)
        # Only now: who adds a part looks afterwards whether its job is still there.
        jobs = vars(self).get(_JOBS)
        if jobs:
            runtime.guard("ending a pool's job", lambda: _settle(jobs, item))

    return __delitem__


def _terminate_pool(original: Any) -> Any:
    @functools.wraps(original.__func__)
    def _terminate_pool(cls: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original.__func__(cls, *args, **kwargs)
        finally:
            _drop_jobs(kwargs["cache"] if "cache" in kwargs else args[-1])

    return classmethod(_terminate_pool)


def _terminate(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Do the same for a pool that was made before the agent was switched on: it has the original function."""

    @functools.wraps(original)
    def terminate(self: Any) -> None:
        try:
            original(self)
        finally:
            _drop_jobs(self._cache)

    return terminate


def _drop_jobs(cache: Any) -> None:
    jobs = vars(cache).pop(_JOBS, {})
    runtime.guard("ending a pool", lambda: _drop(part for parts in jobs.values() for part in parts))
