"""A signature is good once: among the workers of real servers, and where the table that they share can't be had."""

from __future__ import annotations

import shutil
import signal
import sys
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from serving import WORK, serving
from signed_apps import ENV, HARNESS, prepare
from signing import SECRET, headers

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.fixture(params=["wsgi", "asgi"])
def signed(request: pytest.FixtureRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An app whose headers must be signed, called by one of the two protocols."""
    return prepare(workspace, request.param, monkeypatch)


GUNICORN = """
import work


def application(environ, start_response):
    start_response("200 OK", [])
    return [work.do(environ["PATH_INFO"].rpartition("/")[2]).encode()]


import playtrace_agent.wsgi
application = playtrace_agent.wsgi.TraceMiddleware(application)
"""
UVICORN = """
import work


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": work.do(scope["path"].rpartition("/")[2]).encode()})


import playtrace_agent.asgi
application = playtrace_agent.asgi.TraceMiddleware(application)
"""
SERVERS = {
    "gunicorn": (GUNICORN, ("gunicorn", "--workers=3", "--threads=2", "--bind=127.0.0.1:{port}")),
    "uvicorn": (UVICORN, ("uvicorn", "--workers=2", "--log-level=warning", "--lifespan=off", "--port={port}")),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_signature_is_good_once_in_all_processes_of_a_server(workspace: Workspace, server: str) -> None:
    app, command = SERVERS[server]
    workspace.write("work.py", WORK)
    workspace.write("app.py", app)
    argv = [sys.executable, "-m", *command, "app:application"]
    env = {"PROFILE_TRACE_SECRET": SECRET}
    with serving(workspace, argv, end=signal.SIGTERM, env=env, refusing=True) as url:
        copies = [headers("ash", "r", str(step)) for step in range(1, 6)] * 12
        with ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(lambda sent: ask(f"{url}/work/ash", sent), copies))
    assert Counter(statuses)["on"] == 5
    assert all(status == "on" or "PT-GRANT-008" in str(status) for status in statuses)
    wrote = workspace.look()
    assert sorted(record["step"] for record in wrote.of_kind("ash", "open", "r")) == [1, 2, 3, 4, 5]


def ask(url: str, sent: dict[str, str]) -> str | None:
    """Send a request; the trace status."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=sent), timeout=60) as response:
        assert response.read() == b"ash"
        status: str | None = response.headers.get("X-Profile-Trace-Status")
        return status


def test_a_signature_is_good_once_where_tables_are_full_or_can_not_be(signed: Workspace) -> None:
    """Then it is a file. What is too old goes."""
    driver = (
        HARNESS
        + """
import pathlib, time
seen = pathlib.Path(os.environ["PROFILE_COVERAGE_DIR"], ".playtrace", ".seen")
assert call(headers("p", "r", "1")) == "on"
[table] = seen.iterdir()
assert table.name.endswith(".table") and table.stat().st_size == 1 << 20
stretch, _, machine = table.name.partition(".")
for n in range(-1, 3):
    FAULT(seen / f"{int(stretch) + n}.{machine}")
for n in (3, 4):
    (seen / f"{int(stretch) - n}.{machine}").touch()
sent = [headers("p", "r", str(n)) for n in range(2, 40)]
assert [call(one) for one in sent] == ["on"] * 38
assert all("PT-GRANT-008" in call(one) for one in sent)
files = [path for path in seen.glob("*/*") if path.is_file()]
assert len(files) == FILES, files
"""
    )
    full = driver.replace("FAULT(", "(lambda path: path.write_bytes(b'\\xff' * (1 << 20)))(")
    signed.run(full.replace("FILES", "38"), env=ENV)
    shutil.rmtree(signed.data)
    impossible = driver.replace("FAULT(", "(lambda path: (path.unlink(missing_ok=True), path.mkdir()))(")
    signed.run(impossible.replace("FILES", "38"), env=ENV)
    # The old ones went when the next one was looked for.
    names = {path.name.partition(".")[0] for path in (signed.data / ".playtrace" / ".seen").glob("*.table")}
    assert len(names) == 4
    shutil.rmtree(signed.data)
    gone = driver.replace("FAULT(", "(lambda path: path.unlink(missing_ok=True))(")
    signed.run(gone.replace("FILES", "0"), env=ENV)
