"""The row `files`: how many shards a real gunicorn leaves after 10,000 requests."""

from __future__ import annotations

import http.client
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .processes import ROOT, WorkerError, environment
from .results import TARGETS, Row, not_measured
from .setting import Setting

_WORKERS = 4
_CLIENTS = 4
_PROFILES = 2
_START_SECONDS = 30.0


def files(setting: Setting, how: str, say: Callable[[str], None]) -> list[Row]:
    """Shards a profile and run, by the agent and by today's way (the latter asked less often, and scaled)."""
    ident = f"files.{setting.version}"
    count = 1_000 if setting.quick else 10_000
    say(f"{setting.version}: files, {count} requests to gunicorn")
    try:
        ours = _shards(setting, "agent", count)
    except WorkerError as error:
        return [not_measured(ident, str(error), how)]
    today = _shards(setting, "ctrace", 200)
    unit, target = TARGETS["files"]
    peers = {"ctrace": today * count / 200}
    # A count has no noise: its A/A control is that it is a whole number for each profile.
    met = ours <= target
    return [Row(ident, ours, unit, target, met, f"{how}; {count} requests, {_WORKERS} processes", peers)]


def _shards(setting: Setting, way: str, count: int) -> float:
    """Shards a profile after so many traced requests, counted while the server still runs."""
    directory = setting.coverage_dir(f"files-{way}")
    directory.mkdir(parents=True, exist_ok=True)
    env = environment(BENCH_COVERAGE_DIR=str(directory), BENCH_CONFIG=str(setting.config), BENCH_WAY=way)
    if way == "agent":
        env |= setting.agent_environment(directory, None)
    env["BENCH_WORK"] = str(setting.work)
    socket = setting.work / f"{way}.socket"
    command = [str(setting.python), "-m", "gunicorn", "--workers", str(_WORKERS), "--bind", f"unix:{socket}"]
    log = setting.work / "logs" / f"gunicorn-{way}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "benches.tracer.inside.served:app"], env=env, cwd=ROOT, stdout=output, stderr=output
        )
        try:
            _await(socket, server, log)
            _send_all(socket, count)
            found = len([path for path in directory.glob("*.coverage.*") if not path.name.endswith("-journal")])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    return found / _PROFILES


class _Connection(http.client.HTTPConnection):
    """HTTP through a Unix socket: no port is used up by connections that are just closed."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        import socket

        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def _get(socket: Path, headers: dict[str, str]) -> bytes:
    connection = _Connection(socket)
    try:
        connection.request("GET", "/trivial", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise WorkerError(f"gunicorn answered {answer.status}")
        status = answer.headers.get("X-Profile-Trace-Status", "on")
        if headers and status != "on":
            raise WorkerError(f"not traced: {status}")
        return body
    finally:
        connection.close()


def _await(socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise WorkerError(f"gunicorn ended with {server.returncode}: {_last_line(log)}")
        try:
            _get(socket, {})
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise WorkerError(f"gunicorn did not answer within {_START_SECONDS:g} s; see {log}")


def _last_line(log: Path) -> str:
    """The fault that ended it, as far as its log tells."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    faults = [line for line in lines if "Error" in line]
    return (faults or lines or ["nothing is in its log"])[-1].strip()


def _send_all(socket: Path, count: int) -> None:
    faults: list[BaseException] = []

    def client(number: int) -> None:
        try:
            for index in range(number, count, _CLIENTS):
                slug = f"files-{index % _PROFILES}"
                body = _get(socket, {"X-Profile-Trace": slug, "X-Profile-Trace-Run": "one"})
                if body != b"ok":
                    raise WorkerError(f"the app answered {body[:40]!r}")
        except BaseException as fault:  # told below
            faults.append(fault)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise WorkerError(f"a client failed: {faults[0]!r}")
