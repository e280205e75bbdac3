"""Follows traced work into the processes of ``multiprocessing``, however they are started.

A forked one is found by the hooks of ``os.fork``. One that is spawned, by this process or by a fork server, receives
what it has to know with its preparation data.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from . import names, picklers, processes, runtime, serving, workitems

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: What the new process does as it reads its preparation data. Its `sys.path` is not set by then, and a process in which
#: the agent can't be imported has to go on: so it is this, and not a class of ours.
_ARRIVE = """\
try:
    from playtrace_agent import multiprocess
except ImportError:
    pass
else:
    multiprocess.arrive(told)
"""

#: On the process object of such a process: the initializer that was promised.
_INITIALIZER = "_playtrace_initializer"


def change_process(module: ModuleType) -> None:
    """Follow ``multiprocessing.process.BaseProcess``."""
    process: Any = module.BaseProcess
    process.start = _start(process.start)
    process.terminate = _ending(process.terminate)
    process.kill = _ending(process.kill)


def change_spawn(module: ModuleType) -> None:
    """Have ``multiprocessing.spawn``, or its like, tell new processes whose they are."""
    module.get_preparation_data = _preparation(module.get_preparation_data)  # type: ignore[attr-defined]


def _start(original: Callable[[Any], None]) -> Callable[[Any], None]:
    from . import _native

    @functools.wraps(original)
    def start(self: Any) -> None:
        if not _native.traced():
            return original(self)
        served = serving.served(self)
        pending = processes.pending
        before, prepared = pending.process, None
        process = processes.NewProcess(
            names.printable(f"multiprocessing: {names.attribute(self, '_name')}"), serves_all=served is not None
        )
        try:
            # Within the block: a signal's handler may raise as soon as it is set.
            pending.process = process
            if served is not None and served[1] is not None:
                prepared = _initializer(self, served[1])
            original(self)
            if prepared is not None:
                setattr(self, _INITIALIZER, prepared)
        except BaseException:
            for promised in (prepared, process.promised):
                if promised is not None:
                    promised.never_started("it could not be started")
            raise
        finally:
            pending.process = before

    return start


def _ending(original: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(original)
    def end(self: Any) -> None:
        prepared = vars(self).pop(_INITIALIZER, None)
        original(self)
        if prepared is not None:
            # If it had begun, its unit stays open, and the verdict names it.
            prepared.never_started("the worker was ended")

    return end


def _initializer(process: Any, index: int) -> workitems.Promise | None:
    """Make the initializer of such a process a call of the work that starts the process."""
    args = process._args
    if len(args) < index + 2 or not callable(args[index]):
        return None
    call = workitems.initializer(args[index], args[index + 1], picklers.of_loky(process))
    if call is None:
        return None
    process._args = (*args[:index], call, (), *args[index + 2 :])
    return call.promised


def _preparation(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(original)
    def get_preparation_data(name: str, *more: Any, **named: Any) -> dict[str, Any]:
        data = original(name, *more, **named)
        # The fork server asks, too, for itself.
        process = processes.pending.process
        if process is not None and not process.told and name != "ignore":
            process.told = True
            if process.serves_all:
                data["playtrace_agent"] = _Told(None)
            else:
                process.promised = workitems.promise(process.what)
                if process.promised is not None:
                    data["playtrace_agent"] = _Told(process.promised)
        return data

    return get_preparation_data


class _Told:
    """Tells a new process whose it is: the promised run's, or nobody's."""

    def __init__(self, promised: workitems.Promise | None) -> None:
        self.promised = promised

    def __reduce__(self) -> tuple[Any, ...]:
        told = None if self.promised is None else tuple(self.promised)
        return exec, (_ARRIVE, {"told": told})


def arrive(told: tuple[Any, ...] | None) -> None:
    """Make this process the promised one, or nobody's. Whatever goes wrong, it goes on; the ledger tells."""
    try:
        if told is None:
            if runtime.started():
                processes.belong_to_nobody()
            return
        promised = workitems.Promise(*told)
        if runtime.start("child", environ={**os.environ, **promised.environment}):
            processes.begin_process(promised.slug, promised.run, promised.child, promised.what, promised.scope)
    except Exception:
        logging.getLogger("playtrace_agent").warning("this child process is not traced", exc_info=True)
