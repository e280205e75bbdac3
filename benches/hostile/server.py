"""A server that is flooded by one path after the other, and what was seen of each."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benches.tracer.processes import environment
from tests.oracle import surroundings

from .flood import Connection, request_of
from .paths import PATHS, TRACED

from stack_services import Service, free_port, wait_until  # isort: skip


@dataclass
class Seen:
    """What was measured by one path: of each round a value."""

    #: The median seconds of a request without a header.
    latency: list[float] = field(default_factory=list)
    #: The server's processor seconds for each request that it answered, hostile or not.
    work: list[float] = field(default_factory=list)
    #: How many it answered in a second.
    rate: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Server:
    """A server and what floods it."""

    port: int
    pid: int
    flood: subprocess.Popen[str]

    def measure(self, path: str, seconds: float, seen: Seen) -> None:
        """Flood one path for so long."""
        if self.flood.stdout is None:
            raise RuntimeError("it was started without pipes")
        connection, took, untraced, plain = Connection(self.port), [], 0, request_of(path, {})
        spent, begin = spent_by(self.pid), time.perf_counter()
        self._say(path)
        while (now := time.perf_counter()) < begin + seconds:
            connection.ask(plain)
            untraced += 1
            # It takes a moment until the flood is there.
            if now > begin + seconds / 8:
                took.append(time.perf_counter() - now)
        self._say("")
        answered = untraced + int(self.flood.stdout.readline())
        connection.socket.close()
        seen.latency.append(median(took))
        seen.work.append((spent_by(self.pid) - spent) / answered)
        seen.rate.append(answered / (time.perf_counter() - begin))

    def _say(self, line: str) -> None:
        if self.flood.stdin is not None:
            self.flood.stdin.write(line + "\n")
            self.flood.stdin.flush()


def flooded(
    work: Path, command: Sequence[str], settings: dict[str, str], kind: str, rounds: int, seconds: float
) -> dict[str, Seen]:
    """Start a server, flood each path in turn, so often, and end it; every other round the other way round."""
    with ExitStack() as ends:
        port = free_port()
        env = environment(**settings, PROFILE_COVERAGE_DIR=str(work / "coverage"))
        argv = [sys.executable, "-m", *(word.replace("PORT", str(port)) for word in command)]
        service = Service("server", argv, work, env, work / "log")
        service.start()
        ends.callback(service.stop, 30.0)
        wait_until(functools.partial(_answers, port), "the server", [service], 60.0)
        flood = subprocess.Popen(
            [sys.executable, "-m", "benches.hostile.flood", str(port), kind],
            cwd=surroundings.REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ends.callback(_end, flood)
        if service.process is None:
            raise RuntimeError("the server was not started")
        server = Server(port, service.process.pid, flood)
        for path in PATHS:
            server.measure(path, seconds, Seen())
        found = {path: Seen() for path in PATHS}
        for turn in range(rounds):
            for path in PATHS[:: 1 if turn % 2 == 0 else -1]:
                server.measure(path, seconds, found[path])
    return found


def _answers(port: int) -> bool:
    try:
        connection = Connection(port)
    except OSError:
        return False
    with connection.socket:
        connection.ask(request_of(TRACED, {}))
    return True


def _end(flood: subprocess.Popen[str]) -> None:
    # It ends when there is nothing more to read.
    flood.communicate(timeout=30)


def spent_by(server: int) -> float:
    """Return the processor seconds that a server's process and its workers' have taken so far."""
    nanoseconds = 0
    for pid in (server, *Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split()):
        for task in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return nanoseconds / 1e9
