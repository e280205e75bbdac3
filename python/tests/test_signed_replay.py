"""The real player against real servers that ask for signatures: redirects, bodies that are sent again, polls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from judged import program
from serving import serving
from signing import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace

WSGI = """
import flask
import playtrace_agent.flask

app = flask.Flask(__name__)
playtrace_agent.flask.init_app(app)
asked = 0


@app.post("/form")
def form():
    return flask.redirect("/done?what=" + flask.request.get_data(as_text=True).partition("=")[2])


@app.post("/again")
def again():
    return flask.redirect("/form", 307)


@app.get("/done")
def done():
    return flask.request.args["what"] + " " + flask.request.headers.get("Referer", "").rpartition("/")[2]


@app.get("/poll")
def poll():
    global asked
    asked += 1
    return ("ready", 200) if asked > 3 else ("not yet", 404)


@app.get("/round")
def around():
    return flask.redirect("/round")


@app.get("/work/nobody")
def nobody():
    return ""
"""
ASGI = """
import playtrace_agent.asgi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

asked = 0


async def form(request):
    what = (await request.body()).decode().partition("=")[2]
    return RedirectResponse("/done?what=" + what, 302)


async def again(request):
    return RedirectResponse("/form", 307)


async def done(request):
    return PlainTextResponse(request.query_params["what"])


async def poll(request):
    global asked
    asked += 1
    return PlainTextResponse("ready", 200) if asked > 3 else PlainTextResponse("not yet", 404)


async def around(request):
    return RedirectResponse("/round", 302)


async def nobody(request):
    return PlainTextResponse("")


app = playtrace_agent.asgi.wrap(Starlette(routes=[
    Route("/form", form, methods=["POST"]),
    Route("/again", again, methods=["POST"]),
    Route("/done", done),
    Route("/poll", poll),
    Route("/round", around),
    Route("/work/nobody", nobody),
]))
"""
PRESET = """
format = 1
name = "test"

[[poll]]
endpoint = "^/poll$"
statuses = [404]
interval_ms = 20
timeout_s = 30
"""
GUNICORN = ("gunicorn", "--threads=4", "--bind=127.0.0.1:{port}", "app:app")
UVICORN = ("uvicorn", "--log-level=warning", "--lifespan=off", "--port={port}", "app:app")
SERVERS = {"gunicorn": (WSGI, GUNICORN), "uvicorn": (ASGI, UVICORN)}


def record(directory: Path, *requests: tuple[str, str]) -> None:
    """Write a recording of these requests, each answered 200; what is posted is a form."""
    capture = directory / "capture"
    capture.mkdir(parents=True)
    events = []
    for number, (method, path) in enumerate(requests):
        request: dict[str, object] = {"stage": "request", "id": str(number), "method": method, "endpoint": path}
        if method == "POST":
            request["requestMeta"] = {"hasBody": True, "bodyType": "text", "bodyPreview": "what=tea", "bodyLength": 8}
        events += [request, {"stage": "response", "id": str(number), "method": method, "endpoint": path, "status": 200}]
    (capture / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def play(workspace: Workspace, url: str, slug: str, secret: str | None) -> subprocess.CompletedProcess[str]:
    preset = workspace.root / "preset.toml"
    preset.write_text(PRESET)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PROFILE_")}
    env |= {"PROFILE_COVERAGE_DIR": str(workspace.data), "NO_COLOR": "1"}
    if secret is not None:
        env["PROFILE_TRACE_SECRET"] = secret
    argv = [str(program()), "play", slug, "--profiles-root", str(workspace.root / "profiles"), "--base-url", url]
    argv += ["--trace-code", "--preset", str(preset)]
    return subprocess.run(
        argv, env=env, cwd=workspace.root, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("server", SERVERS)
def test_each_request_that_goes_out_has_a_signature_of_its_own(workspace: Workspace, server: str) -> None:
    app, command = SERVERS[server]
    workspace.write("app.py", app)
    profiles = workspace.root / "profiles"
    record(profiles / "p", ("POST", "/form"), ("POST", "/again"), ("GET", "/poll"), ("GET", "/done?what=x"))
    record(profiles / "endless", ("GET", "/round"))
    env = {"PROFILE_TRACE_SECRET": SECRET}
    argv = [sys.executable, "-m", *command]
    with serving(workspace, argv, end=signal.SIGTERM, env=env, refusing=True) as url:
        done = play(workspace, url, "p", SECRET)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Verdict: complete" in done.stdout
        endless = play(workspace, url, "endless", SECRET)
        wrong = play(workspace, url, "p", SECRET + "!")
    # The run with the wrong secret has the player's own records, and no other.
    runs = (workspace.data / ".playtrace" / "p").iterdir()
    what = [what for run in runs for what in requests_of(workspace, run.name)]
    assert what == [
        *("POST /form", "GET /done"),
        *("POST /again", "POST /form", "GET /done"),
        *["GET /poll"] * 4,
        "GET /done",
    ]
    assert endless.returncode == 1
    assert "answered 302 instead of 200" in endless.stdout
    assert wrong.returncode == 1
    assert "PT-REPLAY-013" in wrong.stdout + wrong.stderr
    assert "PT-GRANT-005" in wrong.stdout + wrong.stderr
    for said in (done, endless, wrong):
        assert SECRET not in said.stdout + said.stderr


def requests_of(workspace: Workspace, run: str) -> list[str]:
    """Return the requests that were traced of a run, in order."""
    return [record["what"] for record in workspace.look().of_kind("p", "open", run)]
