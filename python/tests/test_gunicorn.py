"""The real server: workers are forked before the app is loaded, or after it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

APP = """
import os
import sys
import time
from flask import Flask, Response, send_file
import playtrace_agent.flask


def create():
    app = Flask(__name__)
    playtrace_agent.flask.init_app(app)

    @app.get("/pid")
    def pid():
        return str(os.getpid())

    @app.get("/work/<int:n>")
    def work(n):
        if n % 2:
            return odd(n)
        return even(n)

    @app.get("/stream")
    def stream():
        def pieces():
            yield "a"
            yield tail()
        return Response(pieces())

    @app.get("/file")
    def file():
        return send_file(__file__, max_age=0)

    @app.get("/hang")
    def hang():
        reached = 1
        while reached:
            time.sleep(0.02)

    return app


def odd(n):
    return "odd"


def even(n):
    return "even"


def tail():
    return "b"
"""


def _line(text: str) -> int:
    return APP.lstrip("\n").splitlines().index(text) + 1


def get(url: str, **headers: str) -> tuple[str, str | None]:
    """Send a request; the body and the trace status."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode(), response.headers.get("X-Profile-Trace-Status")


@contextmanager
def serving(workspace: Workspace, *options: str) -> Iterator[str]:
    """Serve the app with gunicorn; stop it in order."""
    workspace.write("webapp.py", APP)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    log = workspace.root / "gunicorn.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "--bind",
                f"fd://{listener.fileno()}",
                *options,
                "webapp:create()",
            ],
            env=workspace.environment(),
            cwd=workspace.app,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
        )
    url = f"http://127.0.0.1:{port}"
    try:
        get(url + "/pid")  # the listener is open already: this waits until a worker answers
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        listener.close()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "2", "--threads", "4"),
        ("--workers", "2", "--threads", "4", "--preload"),
        ("--workers", "2", "--worker-class", "sync"),
        ("--workers", "2", "--worker-class", "sync", "--max-requests", "10"),
    ],
    ids=["gthread", "preload", "sync", "max-requests"],
)
def test_profiles_at_once(workspace: Workspace, options: tuple[str, ...]) -> None:
    with serving(workspace, *options) as url, ThreadPoolExecutor(6) as pool:

        def one(n: int) -> tuple[str, str | None]:
            slug = ("even", "odd")[n % 2]
            return get(f"{url}/work/{n}", X_Profile_Trace=slug, X_Profile_Trace_Run="r", X_Profile_Trace_Step=str(n))

        answers = list(pool.map(one, range(60)))
        assert get(url + "/work/1") == ("odd", None)
        assert get(url + "/stream", X_Profile_Trace="stream") == ("ab", "on")
        assert get(url + "/file", X_Profile_Trace="file")[1] == "on"
    assert answers == [(("even", "odd")[n % 2], "on") for n in range(60)]
    wrote = workspace.look()
    condition = _line("        if n % 2:")
    assert wrote.lines("odd", "webapp.py") == [condition, condition + 1, _line("def odd(n):") + 1]
    assert wrote.lines("even", "webapp.py") == [condition, condition + 2, _line("def even(n):") + 1]
    assert _line("def tail():") + 1 in wrote.lines("stream", "webapp.py")
    for slug in ("odd", "even"):
        assert wrote.unclosed(slug, "r") == []
        steps = sorted(record["step"] for record in wrote.of_kind(slug, "open", "r"))
        assert steps == [n for n in range(60) if slug == ("even", "odd")[n % 2]]
        # One shard a process and run, not one a request.
        processes = {record["file"] for record in wrote.of_kind(slug, "open", "r")}
        assert len(wrote.shards(slug)) == len(processes)


def test_a_killed_worker_leaves_its_shard_and_the_service_goes_on(workspace: Workspace) -> None:
    with serving(workspace, "--workers", "1", "--threads", "4") as url:
        get(url + "/work/1", X_Profile_Trace="p", X_Profile_Trace_Run="r")
        pid = int(get(url + "/pid")[0])
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(get, url + "/hang", X_Profile_Trace="p", X_Profile_Trace_Run="r")
            # The first request may be answered before its thread has closed the unit.
            while [len(workspace.look().of_kind("p", kind, "r")) for kind in ("open", "closed")] != [2, 1]:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            assert hanging.exception(timeout=30) is not None
        # Connections may still go to the listener's queue of the dead worker's.
        assert get(url + "/work/2", X_Profile_Trace="p", X_Profile_Trace_Run="r") == ("even", "on")
    wrote = workspace.look()
    assert {_line("def odd(n):") + 1, _line("def even(n):") + 1} <= set(wrote.lines("p", "webapp.py"))
    assert [record["what"] for record in wrote.unclosed("p", "r")] == ["GET /hang"]
