"""How processes die in the middle of their work, and what the verdict says of each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from conftest import Workspace

WORK = """
import ctypes, os, signal, time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die":
        dies()
    elif path == "/wait":
        waits()
    elif path == "/stuck":
        # Deaf to everything but SIGKILL.
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        waits()
    start_response("200 OK", [("X-Pid", str(os.getpid()))])
    return [b"answered"]


def waits():
    while not os.path.exists("go"):
        time.sleep(0.01)


def dies():
    ends = {
        "abort": os.abort,
        "segfault": lambda: ctypes.string_at(0),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "terminated": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "_exit": lambda: os._exit(3),
        "exec": lambda: os.execv("/bin/true", ["true"]),
    }
    ends[os.environ["DEATH"]]()
"""


def _line(text: str) -> int:
    return WORK.lstrip("\n").splitlines().index(text) + 1


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    workspace.write("work.py", WORK)
    workspace.write("driver_client.py", CLIENT)
    return workspace


# One process ---------------------------------------------------------------------------------------

#: What ends a process at once, and its exit code. Where the agent hears of it, the lines up to there are written.
DEATHS = {
    "abort": (-signal.SIGABRT, False),
    "segfault": (-signal.SIGSEGV, False),
    "kill": (-signal.SIGKILL, False),
    "terminated": (-signal.SIGTERM, False),
    "_exit": (3, True),
    "exec": (0, True),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_process_that_dies_in_a_request(work: Workspace, death: str) -> None:
    code, heard = DEATHS[death]
    outcome = work.run(
        """
        import work
        from driver_client import Client
        client = Client(work.app)
        client.get("/one")
        client.get("/die")
        """,
        env={"DEATH": death},
        check=False,
    )
    assert outcome.code == code, outcome.err
    judged = judge(work, ["on", None])
    assert judged.names("data lost: web process", "ended in the middle of step 2 (GET /2)"), judged.reasons
    assert judged.status == "failed"
    assert not judged.names("step 1")
    recorded = outcome.wrote.ledger_lines("p", "r")["profile:p"]["work.py"]
    assert _line('    return [b"answered"]') in recorded
    assert (_line("        dies()") in recorded) == heard


# gunicorn ------------------------------------------------------------------------------------------


class Server:
    """gunicorn with one worker; its listener outlives it, so that requests wait rather than fail."""

    def __init__(self, workspace: Workspace, *options: str) -> None:
        self.workspace = workspace
        self.answers: list[str | None] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._log = workspace.root / "gunicorn.log"
        workspace.write("served.py", "import work\nfrom playtrace_agent.wsgi import wrap\napp = wrap(work.app)\n")
        argv = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{self._listener.fileno()}", *options]
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                [*argv, "--workers", "1", "served:app"],
                env=workspace.environment(),
                cwd=workspace.app,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[self._listener.fileno()],
            )
        self.worker = self.pid()

    def _get(self, path: str, step: int | None = None) -> tuple[int, str | None] | None:
        headers = {"X-Profile-Trace": "p", "X-Profile-Trace-Run": "r", "X-Profile-Trace-Step": str(step)}
        request = urllib.request.Request(self._url + path, headers={} if step is None else headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                assert response.read() == b"answered"
                return int(response.headers["X-Pid"]), response.headers.get("X-Profile-Trace-Status")
        except (urllib.error.URLError, OSError):
            return None

    def pid(self) -> int:
        """Return the pid of the worker that answers, once one does."""
        found = self._get("/pid")
        assert found is not None, self._log.read_text()
        return found[0]

    def send(self, path: str) -> int | None:
        """Send a step; return the pid of the worker that answered it, if one did."""
        self.answers.append(None)
        step = len(self.answers)
        answer = self._get(path, step)
        if answer is None:
            return None
        pid, self.answers[step - 1] = answer
        return pid

    @contextmanager
    def sending(self, path: str) -> Iterator[Future[int | None]]:
        """Send a step that waits; the block begins when it is under way."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.send, path)
            self.until(lambda: any(record["what"] == f"GET {path}" for record in self.opened()))
            yield answer
            self.go()

    def opened(self) -> list[dict[str, object]]:
        """Return the run's units."""
        return self.workspace.look().of_kind("p", "open", "r")

    def until(self, look: Callable[[], object]) -> None:
        """Wait until there is something; pytest's time limit is ours."""
        while not look():
            time.sleep(0.01)

    def go(self) -> None:
        """Let the request that waits go on."""
        (self.workspace.app / "go").touch()

    def log(self) -> str:
        """Return what gunicorn said."""
        return self._log.read_text()

    def stop(self) -> None:
        """Stop in order, if it runs still."""
        self.go()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=60)
        self._listener.close()


@contextmanager
def serving(workspace: Workspace, *options: str) -> Iterator[Server]:
    server = Server(workspace, *options)
    try:
        yield server
    finally:
        server.stop()


SYNC = ("--worker-class", "sync")
THREADS = ("--threads", "2")
DONE = _line('    return [b"answered"]')


@pytest.mark.parametrize("kind", [SYNC, THREADS], ids=["sync", "gthread"])
@pytest.mark.parametrize("whom", ["worker", "server", "reload"])
def test_a_graceful_stop_in_a_request_loses_nothing(work: Workspace, kind: tuple[str, ...], whom: str) -> None:
    with serving(work, *kind) as server:
        with server.sending("/wait") as waiting:
            if whom == "worker":
                os.kill(server.worker, signal.SIGTERM)
            else:
                server.process.send_signal(signal.SIGTERM if whom == "server" else signal.SIGHUP)
            server.until(lambda: "Handling signal" in server.log() or whom == "worker")
            server.go()
            assert waiting.result(timeout=60) == server.worker
        if whom == "server":
            server.process.wait(timeout=60)
        else:
            server.until(lambda: server.pid() != server.worker)
            assert server.send("/one") != server.worker
    judged = judge(work, server.answers)
    assert (judged.status, judged.reasons) == ("complete", [])
    assert DONE in work.look().ledger_lines("p", "r")["profile:p"]["work.py"]


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_a_hard_stop_in_a_request(work: Workspace, number: int) -> None:
    """The worker leaves by SystemExit: what the request did is written. That nothing was answered, the player says."""
    with serving(work, *SYNC) as server:
        server.send("/one")
        with server.sending("/wait") as waiting:
            server.process.send_signal(number)
            assert waiting.result(timeout=60) is None
        server.process.wait(timeout=60)
    judged = judge(work, server.answers)
    assert judged.status == "failed"
    assert judged.names("step 2: no answer")
    assert work.look().unclosed("p", "r") == []
    assert _line("        time.sleep(0.01)") in work.look().ledger_lines("p", "r")["profile:p"]["work.py"]


def test_a_hard_stop_of_threads_cuts_requests_off(work: Workspace) -> None:
    with serving(work, *THREADS, "--graceful-timeout", "1") as server:
        server.send("/one")
        with server.sending("/wait") as waiting:
            server.process.send_signal(signal.SIGQUIT)
            assert waiting.result(timeout=60) is None
        server.process.wait(timeout=60)
    judged = judge(work, server.answers)
    assert judged.status == "failed"
    assert judged.names("data lost: web process", "ended in the middle of step 2 (GET /2)"), judged.reasons


@pytest.mark.parametrize("path", ["/wait", "/stuck"])
def test_a_request_that_takes_too_long_for_the_server(work: Workspace, path: str) -> None:
    """The arbiter aborts the worker, which raises SystemExit in the request; one that is deaf to it is killed."""
    with serving(work, *SYNC, "--timeout", "1") as server:
        server.send("/one")
        with server.sending(path) as waiting:
            assert waiting.result(timeout=60) is None
        assert "WORKER TIMEOUT" in server.log()
        # The service goes on.
        assert server.send("/one") not in (None, server.worker)
    judged = judge(work, server.answers)
    assert judged.status == "failed"
    assert judged.names("step 2: no answer")
    if path == "/stuck":
        assert judged.names("data lost: web process", str(server.worker), "ended in the middle of step 2 (GET /2)")
    else:
        assert work.look().unclosed("p", "r") == []
    assert not any("step 1" in reason or "step 3" in reason for reason in judged.reasons)


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
def test_workers_that_are_replaced_all_the_time(work: Workspace, options: tuple[str, ...]) -> None:
    with serving(work, *SYNC, "--max-requests", "3", *options) as server:
        pids = [server.send("/one") for _ in range(10)]
        assert None not in pids
        assert len(set(pids)) >= 3
    judged = judge(work, server.answers)
    assert (judged.status, judged.reasons) == ("complete", [])
    assert server.answers == ["on"] * 10
