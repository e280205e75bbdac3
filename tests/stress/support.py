"""What the processes of the stress app share among their requests. None of it is measured.

A process's own: after a fork, what the parent had is made anew, for its threads are gone.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any, Self

# Where each request leaves a line when it ends.
RECORDS = "STRESS_RECORDS"
# Threads in the pool of all requests.
POOL = 4
# Generators that wait to be resumed by somebody else.
HANDED = 4
# A forgotten call is made when so many runs have come and gone since; the agent keeps fewer idle ones than that.
STALE_AFTER = 60
# So many contexts come to be in a forked child before it makes forgotten calls: nearly as many as have a slot.
LATER = 40

Handed = Generator[int, tuple[int, int], None]


@dataclass(frozen=True)
class Ticket:
    """What a request says about itself."""

    number: int
    profile: int
    # `None` in an untraced request.
    run: str | None
    alone: bool

    @classmethod
    def parse(cls, profile: int, query: Mapping[str, str]) -> Self:
        """Read it out of a request's parameters."""
        return cls(int(query["number"]), profile, query["run"] or None, bool(query["alone"]))


@dataclass(frozen=True)
class Forgotten:
    """A call that is made too late."""

    # How many runs of one request had begun in the process.
    since: int
    context: contextvars.Context
    work: Callable[[int], int]
    key: int


def _make_late(ticket: Ticket, calls: Sequence[Forgotten]) -> None:
    import playtrace_agent

    with ExitStack() as blocks:
        for number in range(LATER):
            blocks.enter_context(playtrace_agent.trace(f"later-{number}", ticket.run))
        for call in calls:
            call.context.run(call.work, call.key)


class Hooks:
    """What measured code does with the agent's help; the reference puts its own in place of it."""

    def block(self, ticket: Ticket) -> AbstractContextManager[None]:
        """Return a block that belongs to another profile, for a traced request."""
        if ticket.run is None:
            return nullcontext()
        import playtrace_agent

        return playtrace_agent.trace(f"inner-{ticket.profile}", ticket.run)

    def forget(self, ticket: Ticket, work: Callable[[int], int], key: int) -> None:
        """Have a call made, under the context of now, when its run has been given up."""
        if ticket.alone:
            _here().forgotten.append(Forgotten(_here().runs, contextvars.copy_context(), work, key))

    def fork(self, ticket: Ticket) -> None:
        """Make other runs' forgotten calls in a forked child, when contexts of later runs have their places."""
        # The last one is this run's own.
        calls = list(_here().forgotten)[:-1][-LATER:]
        if not ticket.alone or not calls:
            return
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _make_late(ticket, calls)
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1] != 0:
            raise RuntimeError("the forked child failed")


hooks = Hooks()


class _Process:
    """What one process has. Threads are started when they are needed, or all at once before anything is traced."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(POOL)
        self.handed: queue.SimpleQueue[Handed] = queue.SimpleQueue()
        self.late: CodeType | None = None
        self.left_behind: set[Future[Any]] = set()
        # Runs of one request that began here.
        self.runs = 0
        self.forgotten: deque[Forgotten] = deque()

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of all requests."""
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True, name="shared loop").start()
        return loop

    @cached_property
    def stale(self) -> queue.SimpleQueue[Forgotten]:
        """Calls for a thread that makes them one after the other, each under the context that it comes with."""
        calls: queue.SimpleQueue[Forgotten] = queue.SimpleQueue()

        def make() -> None:
            while True:
                call = calls.get()
                call.context.run(call.work, call.key)
                # While it waits for the next one it holds no context.
                del call

        threading.Thread(target=make, daemon=True, name="forgotten").start()
        return calls

    def run_begins(self) -> None:
        """Count a run of one request, and have calls made whose own run is long over."""
        with self.lock:
            self.runs += 1
            while self.forgotten and self.runs - self.forgotten[0].since >= STALE_AFTER:
                self.stale.put(self.forgotten.popleft())


_process: _Process | None = None
_lock = threading.RLock()


def start(*, loop: bool = True) -> None:
    """Make what this process needs. Called before anything is traced; a work horse does without."""
    # Some workers have each of their threads start up.
    with _lock:
        here = _here()
        here.stale  # noqa: B018 - made when it is asked for
        if loop:
            here.loop  # noqa: B018 - likewise


def forget_all() -> None:
    """Let go of the contexts of forgotten calls: nobody is going to make them."""
    _here().forgotten.clear()


def _here() -> _Process:
    global _process
    if _process is None or _process.pid != os.getpid():
        with _lock:
            if _process is None or _process.pid != os.getpid():
                _process = _Process()
    return _process


def pool() -> ThreadPoolExecutor:
    """The pool of all requests."""
    return _here().pool


def on_shared_loop(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on the loop of all requests."""
    return asyncio.run_coroutine_threadsafe(coroutine, _here().loop).result()


def leave_behind(work: Callable[..., int], *arguments: int) -> None:
    """Have the pool do something that the request does not wait for."""
    here = _here()
    future = here.pool.submit(work, *arguments)
    here.left_behind.add(future)
    future.add_done_callback(here.left_behind.discard)


def drain() -> None:
    """Wait for what was left behind."""
    wait_for(list(_here().left_behind))


def hand_over(generator: Handed) -> None:
    """Put a generator where others find it."""
    _here().handed.put(generator)


def take_over(begin: Callable[[], Handed]) -> Handed:
    """Take the generator that has waited longest; `begin` makes some that nobody's request began."""
    here = _here()
    while here.handed.qsize() < HANDED:
        here.handed.put(begin())
    return here.handed.get()


def late_code(*, fresh: bool) -> CodeType:
    """Compile the late module; `fresh` makes new code objects."""
    here = _here()
    code = here.late
    if code is None or fresh:
        import stresswork  # type: ignore[import-not-found]

        path = Path(stresswork.__file__).with_name("late.py")
        code = here.late = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    return code


class Recording:
    """Writes when a request began and ended, and where."""

    def __init__(self) -> None:
        path = os.environ.get(RECORDS)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if path else None

    def begin(self, query: Mapping[str, str]) -> tuple[int, int]:
        """Note the beginning of a request; its number and the time in nanoseconds."""
        began = time.monotonic_ns()
        if query["alone"]:
            _here().run_begins()
        return int(query["number"]), began

    def end(self, mark: tuple[int, int], answer: str = "-") -> None:
        """Write the record: number, process, beginning, end, answer. One write, so that processes don't mix."""
        if self._file is not None:
            number, began = mark
            line = f"{number} {os.getpid()} {began} {time.monotonic_ns()} {answer.replace(' ', '_')}\n"
            os.write(self._file, line.encode())
