"""Processes that the demo's stack consists of: starting, watching, ending them with all their descendants."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# In the environment of everything that a stack starts; how descendants in other process groups are found.
MARKER = "PLAYTRACE_DEMO_STACK"

# Below what Linux (32768 and more) and macOS (49152 and more) use for outgoing connections.
_LEAST_PORT, _MOST_PORT = 10_000, 32_000
# Each process has ports of its own, in some order: what another one just chose does not listen yet.
_PROCESSES = 61
_OUR_PORTS = itertools.cycle(
    random.sample(
        range(_LEAST_PORT + os.getpid() % _PROCESSES, _MOST_PORT, _PROCESSES),
        (_MOST_PORT - _LEAST_PORT) // _PROCESSES,
    )
)
_TAIL_LINES = 25
_POLL_SECONDS = 0.05


class StackError(Exception):
    """A service could not be started, or died; the message holds the last lines of its log."""


@dataclass
class Service:
    """One process with its own process group and log."""

    name: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.cwd.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    list(self.argv),
                    cwd=self.cwd,
                    env=dict(self.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"{self.name}: can't start {self.argv[0]}: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """The process id; raises `StackError` when the service was never started."""
        if self.process is None:
            raise StackError(f"{self.name} is not running")
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def check(self) -> None:
        """Raise `StackError`, with the log's last lines, when the process has ended."""
        if not self.alive:
            code = "never started" if self.process is None else f"ended with {self.process.returncode}"
            raise StackError(f"{self.name} {code}; the end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of the log, indented."""
        if not self.log.is_file():
            return "  (no log)"
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in text[-lines:]) or "  (empty log)"

    def signal_group(self, number: int) -> None:
        """Send a signal to the process group, if any of it is left."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def stop(self, grace: float) -> None:
        """Ask the process to end, then what is left of its group; insist after `grace` seconds.

        The leader is asked first and alone: gunicorn and RQ see to it that their own children finish what
        they are doing, and would be cut short if the whole group got the signal at once.
        """
        if self.process is None:
            return
        deadline = time.monotonic() + grace
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.signal_group(signal.SIGTERM)
        while self.group_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.signal_group(signal.SIGKILL)
        self.process.wait()

    def group_alive(self) -> bool:
        """Whether any process of the group is left."""
        if self.process is None:
            return False
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def wait_until(ready: Callable[[], bool], what: str, services: Sequence[Service], timeout: float) -> None:
    """Poll until `ready`; raise `StackError` when one of the services dies first, or time runs out."""
    deadline = time.monotonic() + timeout
    while not ready():
        for service in services:
            service.check()
        if time.monotonic() > deadline:
            tails = "\n".join(f"{service.name}:\n{service.tail()}" for service in services)
            raise StackError(f"{what} did not happen within {timeout:g} s\n{tails}")
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A port of the loopback interface that nobody has now.

    None of those that the kernel gives to outgoing connections: one of them could have it before we listen.
    """
    while True:
        port = next(_OUR_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def port_is_taken(port: int) -> bool:
    """Whether somebody listens on that port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def redis_command(port: int, *words: str) -> str | None:
    """The first line of Redis's answer to a command; `None` when Redis does not answer."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request.encode())
            return connection.recv(4096).decode().splitlines()[0]
    except (OSError, IndexError):
        return None


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children, sorted; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return sorted(int(word) for word in text.split())


def marked_processes(mark: str) -> Iterator[int]:
    """Processes whose environment carries that mark: an RQ work horse has a session of its own, so that
    neither a process group nor (after its parent's death) a parent leads to it."""
    wanted = f"{MARKER}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def sweep(mark: str) -> list[int]:
    """Kill every process that carries the mark; returns their ids."""
    killed: list[int] = []
    for pid in list(marked_processes(mark)):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
    return killed
