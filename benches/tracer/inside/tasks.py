"""What the driver can ask a measured process to do."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import floor, generated, ways
from .bodies import FLAT, Bodies

#: The agent's contexts rest after five seconds without work, at the next request that is not traced.
REST_SECONDS = 5.5

NEW_FUNCTIONS = 40
NEW_LINES = 20


class Tasks:
    """The tasks of one process."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self._new: list[Callable[[int], int]] | None = None
        self._files: list[Any] = []

    def tasks(self) -> dict[str, Callable[..., Any]]:
        """By the names under which they are asked for."""
        return {
            "answer": self.bodies.answer,
            "time": self.bodies.time,
            "rest": self.rest,
            "left": ways.traces_of_the_agent,
            "save": self.save,
            "exact": self.exact,
            "missed": self.missed,
            "late": self.late,
            "new-lines": self.new_lines,
            "neighbour": self.neighbour,
            "beside": self.beside,
            "first": self.first,
            "load-files": self.load_files,
            "touch-files": self.touch_files,
            "requests": self.requests,
            "private": private_bytes,
        }

    def rest(self) -> None:
        """Let the time pass after which the agent stops listening, then make the request that has it do so."""
        time.sleep(REST_SECONDS)
        self.bodies.answer("trivial", {})

    def save(self) -> None:
        """Have everything written that was traced."""
        if self.bodies.way in ways.AGENT:
            import playtrace_agent

            playtrace_agent.flush()

    def exact(self, headers: dict[str, str]) -> None:
        """Make sure that the least recorder records each line of a request for flat code, and misses none.

        Raises:
            RuntimeError: It does not.
        """
        functions, lines = FLAT
        before, _ = self.bodies.recorder.counts(True)
        self.bodies.answer("flat", headers)
        after, missed = self.bodies.recorder.counts(False)
        # Each function is called on a line of its own, between the first one and the last one of what calls them.
        expected = functions * lines + functions + 2
        if missed or after - before != expected:
            raise RuntimeError(f"the least recorder has {after - before} lines of {expected}, and missed {missed}")

    def missed(self) -> int:
        """How many lines and code objects the least recorder had no room for."""
        return int(self.bodies.recorder.counts(False)[1])

    def late(self) -> float:
        """Seconds of the processor for what a request has left to be written into the shard later."""
        start = time.thread_time()
        self.save()
        return time.thread_time() - start

    def new_lines(self, slug: str, run: str) -> float:
        """Seconds a request, each of which executes 20 lines that are new to the run; the run's first is not counted.

        The code objects are known to the process: another run had them before.
        """
        if self._new is None:
            source = generated.functions_source(NEW_FUNCTIONS, NEW_LINES)
            path = self.bodies.work / "generated" / "bench_new_lines.py"
            self._new = generated.write_and_load(path, source).ALL
        headers = {"X-Profile-Trace": slug, "X-Profile-Trace-Run": run}
        first, *others = [lambda function=function: function(1) for function in self._new]
        self.bodies.call(first, headers)
        start = time.thread_time()
        for body in others:
            self.bodies.call(body, headers)
        return (time.thread_time() - start) / len(others)

    def neighbour(self, name: str, headers: dict[str, str], count: int) -> float:
        """Seconds of the processor for untraced requests while another thread makes traced ones."""
        stop, running = threading.Event(), threading.Event()
        faults: list[BaseException] = []
        traced = self.bodies.request(name, headers)
        untraced = self.bodies.request(name, {})

        def beside() -> None:
            try:
                while not stop.is_set():
                    traced()
                    running.set()
            except BaseException as fault:  # told to the driver
                faults.append(fault)
                running.set()

        thread = threading.Thread(target=beside)
        thread.start()
        try:
            running.wait()
            seconds = min(self._seconds(untraced, count) for _ in range(3))
        finally:
            stop.set()
            thread.join()
        if faults:
            raise RuntimeError(f"the thread beside it failed: {faults[0]!r}")
        return seconds

    def beside(self, name: str, headers: dict[str, str], count: int) -> float:
        """Seconds of the processor for traced requests while another profile is at work, which never runs that code."""
        other = {"X-Profile-Trace": "other", "X-Profile-Trace-Run": "one"} if headers else {}
        elsewhere, request = self.bodies.request("waiting", other), self.bodies.request(name, headers)
        seconds = []
        for _ in range(3):
            elsewhere()
            seconds.append(self._seconds(request, count))
        return min(seconds)

    def _seconds(self, request: Callable[[], object], count: int) -> float:
        """Seconds of this thread's processor for so many requests."""
        start = time.thread_time()
        for _ in range(count):
            request()
        return time.thread_time() - start

    def first(self, folder: str, serial: int, files: int, functions: int, headers: dict[str, str]) -> float:
        """Seconds of the processor a code object, for functions that run for the first time in one request."""
        source = generated.functions_source(functions, 3)
        calls: list[Any] = []
        for number in range(files):
            path = self.bodies.work / folder / f"bench_{folder}_first_{serial}_{number}.py"
            calls += generated.write_and_load(path, source).ALL

        def body() -> int:
            value = 1
            for call in calls:
                value = call(value)
            return value

        # A run, its files and the code of the request itself are there already.
        self.bodies.call(lambda: 1, headers)
        self.bodies.call(lambda: 1, headers)
        codes = [call.__code__ for call in calls] if self.bodies.way == "floor" and folder == "generated" else []
        start = time.thread_time()
        floor.arm(codes)
        self.bodies.call(body, headers)
        return (time.thread_time() - start) / len(calls)

    def load_files(self, files: int) -> int:
        """Import so many files of 30 lines; their functions are not called yet."""
        source = generated.functions_source(3, 10)
        folder = self.bodies.work / "generated" / "many"
        self._files = [generated.write_and_load(folder / f"bench_many_{number}.py", source) for number in range(files)]
        return len(self._files)

    def touch_files(self, profiles: int) -> int:
        """Execute every line of them for each profile, with a request for every hundred files."""
        total = 0
        for profile in range(profiles):
            headers = {"X-Profile-Trace": f"memory-{profile}", "X-Profile-Trace-Run": "memory"}
            for begin in range(0, len(self._files), 100):
                calls = [call for module in self._files[begin : begin + 100] for call in module.ALL]
                total += int(str(self.bodies.call(partial(_sum, calls), headers)))
        return total

    def requests(self, count: int, profiles: int) -> int:
        """Make so many requests, for so many profiles in turn."""
        requests = [
            self.bodies.request("trivial", {"X-Profile-Trace": f"memory-{number}", "X-Profile-Trace-Run": "memory"})
            for number in range(profiles)
        ]
        for number in range(count):
            requests[number % profiles]()
        return count


def _sum(calls: list[Callable[[int], int]]) -> int:
    return sum(call(1) for call in calls)


def private_bytes() -> int:
    """The memory that this process alone has."""
    gc.collect()
    if sys.platform != "linux":
        raise RuntimeError("only Linux tells how much memory is a process's own")
    kilobytes = 0
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name in ("Private_Clean", "Private_Dirty"):
            kilobytes += int(rest.split()[0])
    return kilobytes * 1024
