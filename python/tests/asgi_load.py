"""A load for ASGI servers whose lines are known beforehand: eight profiles, and untraced requests, in one loop.

Each request calls one function that no other request calls, at a place that its kind says. So a line that is missing,
or that is somebody else's, is found request by request, although a profile's lines are a union.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asgi_load_app import APP
from granian_workers import wait_for_all
from judged import judge
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conftest import Workspace

PROFILES = 8
#: Of the connections, which each send for all: the ninth profile is nobody's.
CONNECTIONS = 9
KINDS = ("plain", "child", "thread", "stream", "body", "background", "deadline", "failing")
#: So many bytes that a server stops reading until the app asks for more.
BODY = b"x" * 300_000
RUN = "r"


@dataclass(frozen=True)
class Request:
    """One request; ``profile`` ``PROFILES`` is untraced."""

    number: int
    profile: int
    kinds: Sequence[str] = KINDS

    @property
    def slug(self) -> str:
        """Return the profile's name."""
        return f"slug-{self.profile}"

    @property
    def kind(self) -> str:
        """Return what it has the app do."""
        return self.kinds[(self.number + self.profile) % len(self.kinds)]

    @property
    def leaf(self) -> str:
        """Return the function that only this request calls."""
        return f"leaf_{self.profile}_{self.number}"


@dataclass
class Found:
    """What is wrong with a load's lines."""

    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def requests(each: int, kinds: Sequence[str] = KINDS) -> list[list[Request]]:
    """Return so many requests of each profile, by connection: each sends traced and untraced ones in turns."""
    shares: list[list[Request]] = [[] for _ in range(CONNECTIONS)]
    for number in range(each):
        for profile in range(PROFILES + 1):
            shares[(profile + number) % CONNECTIONS].append(Request(number, profile, kinds))
    return shares


def prepare(workspace: Workspace, each: int, app: str = APP, name: str = "asgi_app.py") -> None:
    """Write the app, and the functions of so many requests of each profile."""
    workspace.write(name, app)
    leaves = [request for share in requests(each) for request in share]
    leaves.sort(key=lambda request: (request.profile, request.number))
    text = [f"def {request.leaf}():\n    return {request.number}\n\n\n" for request in leaves]
    workspace.write("leaves.py", "".join(text))


def send(port: int, share: Sequence[Request], *, keep: bool = True) -> list[tuple[str, str | None]]:
    """Send requests one after the other on one connection; the answers and trace statuses."""
    answers = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for request in share:
        headers = {} if keep else {"Connection": "close"}
        if request.profile < PROFILES:
            headers |= {
                "X-Profile-Trace": request.slug,
                "X-Profile-Trace-Run": RUN,
                "X-Profile-Trace-Step": str(request.number + 1),
            }
        method, content = ("POST", BODY) if request.kind == "body" else ("GET", None)
        connection.request(method, f"/{request.kind}/{request.leaf}", content, headers)
        response = connection.getresponse()
        answers.append((response.read().replace(b" ", b"").decode(), response.getheader("X-Profile-Trace-Status")))
    connection.close()
    return answers


def send_all(port: int, each: int, *, statuses: bool = True, kinds: Sequence[str] = KINDS) -> None:
    """Send everything, each connection's share beside the others; each must be answered, and have the right status."""
    shares = requests(each, kinds)
    with ThreadPoolExecutor(len(shares)) as pool:
        found = list(pool.map(lambda share: send(port, share), shares))
    for share, answers in zip(shares, found, strict=True):
        wanted = [("done", "on" if request.profile < PROFILES else None) for request in share]
        if not statuses:
            wanted = [("done", status) for _, status in answers]
        assert answers == wanted, [pair for pair in zip(share, answers, wanted, strict=True) if pair[1] != pair[2]][:5]


def most(workspace: Workspace) -> int:
    """Return how many requests a process has served at once."""
    return max(int(file.read_text()) for file in workspace.app.glob("most-*"))


def compare(workspace: Workspace, each: int) -> Found:
    """Compare what each profile has with what its requests executed."""
    found = Found()
    wrote = workspace.look()
    shards = wrote.contexts()
    names = (workspace.app / "leaves.py").read_text().splitlines()
    for profile in range(PROFILES):
        # What a shard lacks yet is in the ledger: a server may end by a signal.
        sources = shards, wrote.ledger_lines(f"slug-{profile}", RUN)
        lines = [line for source in sources for line in source.get(f"profile:slug-{profile}", {}).get("leaves.py", [])]
        seen = {names[line - 2][4:-3] for line in lines}
        wanted = {Request(number, profile).leaf for number in range(each)}
        found.wrong += [f"slug-{profile}: {name}" for name in sorted(seen - wanted)]
        found.lost += [f"slug-{profile}: {name}" for name in sorted(wanted - seen)]
    return found


def judge_all(workspace: Workspace, each: int) -> None:
    """Have the program judge each profile's run: each must be complete."""
    for profile in range(PROFILES):
        judged = judge(workspace, ["on"] * each, slug=f"slug-{profile}", run=RUN)
        assert (judged.status, judged.reasons) == ("complete", []), (profile, judged)


@contextmanager
def serving(workspace: Workspace, *command: str, **env: str) -> Iterator[int]:
    """Serve with a command in which ``PORT`` stands for the port; its log may hold no error."""
    port = free_port()
    log = workspace.root / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", *(word.replace("PORT", str(port)) for word in command)],
            env=workspace.environment(env),
            cwd=workspace.app,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield port
        wait_for_all(log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise
        said = log.read_text()
        if os.environ.get("PLAYTRACE_TEST_SHOW"):
            print(said)
    assert "Traceback" not in said, said


def settle(workspace: Workspace) -> None:
    """Wait until the requests are over: what is done after an answer is, and daphne ends without it."""
    end = time.monotonic() + 60
    while any(workspace.look().unclosed(f"slug-{profile}", RUN) for profile in range(PROFILES)):
        assert time.monotonic() < end, "requests do not end"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().read() == b"done"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
