"""`make bench-hostile` sends what is refused, and says what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benches.hostile.__main__ import SERVERS, SETTINGS, rows_of
from benches.hostile.paths import PATHS, TRACED
from benches.hostile.server import Seen, flooded
from benches.tracer.processes import ROOT, environment

# What the agent answers to the first of each, by protocol.
ASK = """
import json
from benches.hostile import app, headers

said = {}
for name in ("hostile", "malformed"):
    for number in range(60):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REMOTE_ADDR": "192.0.2.1"}
        for header, value in getattr(headers, name)(number).items():
            environ["HTTP_" + header.upper().replace("-", "_")] = value
        seen = []
        list(app.wsgi(environ, lambda status, headers: seen.extend(headers)))
        said.setdefault(name, []).append(dict(seen).get("X-Profile-Trace-Status", ""))
print(json.dumps(said))
"""


# Whether the agent saw a request by each path.
WHICH = """
import asyncio, json
from benches.hostile import app, frameworks, paths

def wsgi(app, path):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "app", "SERVER_PORT": "80"}
    environ |= {"wsgi.url_scheme": "http", "HTTP_X_PROFILE_TRACE": "../p"}
    seen = []
    list(app(environ, lambda status, headers: seen.extend([("status", status), *headers])))
    return dict(seen)

def asgi(app, path):
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b""}
    scope["headers"] = [(b"x-profile-trace", b"../p")]
    seen = []
    async def send(message):
        seen.append(message)
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    asyncio.run(app(scope, receive, send))
    found = {name.decode().title(): value.decode() for name, value in seen[0]["headers"]}
    return found | {"status": str(seen[0]["status"])}

ways = {"WSGI": (wsgi, app.wsgi_ways), "ASGI": (asgi, app.asgi_ways)}
ways |= {"Flask": (wsgi, frameworks.flask_ways), "FastAPI": (asgi, frameworks.fastapi_ways)}
print(json.dumps({name: {path: ask(way, path) for path in paths.PATHS} for name, (ask, way) in ways.items()}))
"""


def test_all_of_it_is_refused(tmp_path: Path) -> None:
    for name, (settings, kind) in SETTINGS.items():
        said = json.loads(_run(ASK, tmp_path / name, settings))[kind]
        assert len(said) == 60
        assert all(status.startswith("off; ") for status in said), said


def test_one_path_leads_through_the_agent(tmp_path: Path) -> None:
    found = json.loads(_run(WHICH, tmp_path, SETTINGS["open"][0]))
    assert found.keys() == {"WSGI", "ASGI", "Flask", "FastAPI"}
    for answers in found.values():
        assert answers.keys() == set(PATHS)
        for path, answer in answers.items():
            assert answer["status"].startswith("200")
            assert ("X-Profile-Trace-Status" in answer) == (path == TRACED)


def _run(code: str, work: Path, settings: dict[str, str]) -> str:
    env = environment(**settings, PROFILE_COVERAGE_DIR=str(work))
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_a_flood_is_answered_and_measured(tmp_path: Path) -> None:
    found = flooded(tmp_path, SERVERS["uvicorn"], *SETTINGS["secret"], rounds=1, seconds=0.2)
    assert found.keys() == set(PATHS)
    for seen in found.values():
        assert len(seen.latency) == len(seen.work) == len(seen.rate) == 1
        assert min(*seen.latency, *seen.work, *seen.rate) > 0


def test_each_server_has_its_app() -> None:
    apps = [command[-1] for command in SERVERS.values()]
    code = "import pkgutil, sys\nfor name in sys.argv[1:]: assert callable(pkgutil.resolve_name(name)), name"
    subprocess.run([sys.executable, "-c", code, *apps], env=environment(), cwd=ROOT, check=True)


def test_rows_compare_with_what_is_past_the_agent() -> None:
    def server(times: float) -> dict[str, Seen]:
        return {path: Seen([took] * 8, [took] * 8, [1.0] * 8) for path, took in zip(PATHS, (times, 1, 1), strict=True)}

    met = {row["id"]: (row["value"], row["met"]) for row in rows_of("s", [server(2.0), server(2.0)])}
    met |= {row["id"]: (row["value"], row["met"]) for row in rows_of("t", [server(1.0)])}
    assert met == {
        "s: an untraced request under a flood": (2.0, False),
        "s: the server's processor time for each request of a flood": (2.0, False),
        "t: an untraced request under a flood": (1.0, True),
        "t: the server's processor time for each request of a flood": (1.0, True),
    }
