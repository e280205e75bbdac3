"""Measured processes, from the driver's side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]

#: What a person's shell may carry and a measured process must not inherit.
_FOREIGN = ("PROFILE_", "ENABLE_PROFILE_COVERAGE", "COVERAGE_", "WEPPDEMO_", "PYTHON")


class WorkerError(Exception):
    """A measured process could not do what it was asked to."""


def environment(**added: str) -> dict[str, str]:
    """The environment of a measured process: nothing of the agent's but what is given."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    # Equal hashes make equal dictionaries, in each process.
    return {**env, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **added}


def same_addresses() -> list[str]:
    """What starts a process without address randomisation, so that processes differ less from each other."""
    setarch = shutil.which("setarch")
    if setarch is None or subprocess.run([setarch, "-R", "true"], capture_output=True, check=False).returncode:
        return []
    return [setarch, "-R"]


class Worker:
    """A measured process that waits for tasks."""

    def __init__(
        self,
        python: Path,
        way: str,
        work: Path,
        env: Mapping[str, str],
        log: Path,
        through: tuple[str, ...] = (),
        *,
        randomised: bool = False,
    ) -> None:
        """Start it; `through` comes between the interpreter and the program (SlipCover).

        Where objects lie decides what a loop takes by some per cent, and a module more in the process moves them all.
        Without randomisation, processes of one way differ less from each other, but two ways differ by that, the same
        in each group: no number of groups tells it from a cost. `randomised` draws addresses anew for each process.
        """
        self.way = way
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("ab")
        fixed = [] if randomised else same_addresses()
        command = [*fixed, str(python), *through, "-m", "benches.tracer.inside", way, str(work)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=dict(env), cwd=ROOT, text=True
        )

    def ready(self) -> Self:
        """Wait until it takes tasks.

        Raises:
            WorkerError: It can't; the message is its own.
        """
        self._answer()
        return self

    def send(self, do: str, **arguments: Any) -> None:
        """Hand a task over."""
        if self._process.stdin is None:
            raise WorkerError(f"{self.way}: not started")
        try:
            self._process.stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self.way}: ended before {do}; see {self._log.name}") from error

    def do(self, do: str, **arguments: Any) -> Any:
        """Hand a task over and wait for its answer."""
        self.send(do, **arguments)
        return self._answer()

    def receive(self) -> Any:
        """Wait for the answer of a task that was sent."""
        return self._answer()

    def _answer(self) -> Any:
        if self._process.stdout is None:
            raise WorkerError(f"{self.way}: not started")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.way}: ended with {self._process.wait()}; see {self._log.name}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.way}: {answer['error']}")
        return answer.get("value")

    def stop(self) -> None:
        """End it, and wait for that."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


class Workers:
    """Several measured processes that are started together and stopped together."""

    def __init__(self) -> None:
        self.by_name: dict[str, Worker] = {}
        #: Why a process that was asked for is not there.
        self.missing: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop them all."""
        for worker in self.by_name.values():
            worker.stop()

    def add(self, name: str, worker: Worker) -> None:
        """Take a process that was just started."""
        self.by_name[name] = worker

    def await_ready(self) -> None:
        """Wait for all; those that can't be are kept as missing, with their own words."""
        for name, worker in list(self.by_name.items()):
            try:
                worker.ready()
            except WorkerError as error:
                self.missing[name] = str(error)
                worker.stop()
                del self.by_name[name]
