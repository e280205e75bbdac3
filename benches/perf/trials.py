"""One trial: a real server, a profile, and what `playtrace perf` says about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import surroundings

from stack_services import free_port  # isort: skip

REQUESTS = 2
PRESET = 'format = 1\nname = "bench"\n'


@dataclass(frozen=True)
class Trial:
    """What one measurement says: ratios of traced and untraced replays."""

    planted: float
    value: float
    low: float
    high: float
    #: How far two twins may differ.
    stray: float

    @property
    def truth(self) -> float:
        """The ratio that is there to be found."""
        return 1 + self.planted

    @property
    def is_right(self) -> bool:
        """Whether the interval covers what is true and, where there is something, excludes nothing."""
        return self.low <= self.truth <= self.high and (self.planted == 0 or self.low > 1)

    @property
    def is_wrong(self) -> bool:
        """Whether the interval excludes what is true."""
        return not self.low <= self.truth <= self.high

    @property
    def can_tell(self) -> bool:
        """Whether the machine was quiet enough to tell a tenth from nothing."""
        return self.stray < 0.05

    def __str__(self) -> str:
        percent = [f"{(ratio - 1) * 100:+.2f}" for ratio in (self.value, self.low, self.high)]
        word = "right" if self.is_right else "wrong" if self.is_wrong else "does not tell"
        return f"{percent[0]} % ({percent[1]} to {percent[2]}), twins within {self.stray * 100:.2f} %: {word}"


def trial(planted: float, rounds: int, **changes: str) -> Trial:
    """Measure once, on a server of its own; `changes` are of its environment."""
    with tempfile.TemporaryDirectory(prefix="bench-perf-") as name:
        work = Path(name)
        _write_profile(work)
        with _server(planted, work, changes) as url:
            command: list[str | Path] = [
                surroundings.program(),
                "perf",
                "session",
                "--base-url",
                url,
                "--rounds",
                str(rounds),
                "--max-rounds",
                str(rounds),
            ]
            command += ["--profiles-root", "profiles", "--preset", "preset.toml", "--json"]
            env = {name: value for name, value in os.environ.items() if not name.startswith("PROFILE_")}
            env["PROFILE_COVERAGE_DIR"] = str(work / "coverage")
            done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
        if not done.stdout:
            raise RuntimeError(f"perf ended with {done.returncode}: {done.stderr}")
        (profile,) = json.loads(done.stdout)["profiles"]
        if profile["state"] == "failed":
            raise RuntimeError(f"perf: {profile['reasons']}")
        row = next(row for row in profile["rows"] if row["kind"] == "requests")
        control, traced = row["control"], row["traced"]
        stray = max(abs(control["low"] - 1), abs(control["high"] - 1))
        return Trial(planted, traced["value"], traced["low"], traced["high"], stray)


def _write_profile(work: Path) -> None:
    capture = work / "profiles" / "session" / "capture"
    capture.mkdir(parents=True)
    events = []
    for number in range(REQUESTS):
        endpoint = f"/work/{number}"
        events.append({"stage": "request", "id": number, "method": "GET", "endpoint": endpoint})
        events.append({"stage": "response", "id": number, "status": 200})
    (capture / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    (work / "preset.toml").write_text(PRESET, encoding="utf-8")


@contextmanager
def _server(planted: float, work: Path, changes: Mapping[str, str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{port}"]
    env = {**os.environ, "BENCH_PERF_PLANTED": str(planted), "PYTHONPATH": str(surroundings.REPOSITORY), **changes}
    with (work / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, "benches.perf.app"], cwd=work, env=env, stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}/", process, work / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not answer:\n{log.read_text(encoding='utf-8')}") from None
            time.sleep(0.05)
