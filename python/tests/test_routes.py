"""Real traffic by route: real frameworks say which, and a sample of the requests says what they enter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from asgi_harness import HARNESS
from rq_stage import serve
from traffic import ALWAYS, by_route, entered, shards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Workspace

#: Requests as a server makes them. Whatever the machine is busy with, a sample can be paid for.
WSGI = """
import playtrace_agent.wsgi
from playtrace_agent import _native
import app

target = playtrace_agent.wsgi.TraceMiddleware(app.application)


def get(path, method="GET", **headers):
    import io, sys
    from wsgiref.util import setup_testing_defaults
    _native.pretend(None)
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    said = []
    answer = target(environ, lambda status, headers, exc_info=None: said.append(status))
    body = b"".join(answer)
    getattr(answer, "close", int)()
    # The thread serves the next request as if there had been none.
    assert type(_native.held()) not in (_native.Route, _native.Token), _native.held()
    return said[0][:3], body.decode()
"""

FLASK = """
from flask import Flask

application = Flask(__name__)


@application.before_request
def before():
    pass


@application.get("/item/<int:number>")
def item(number):
    return read() + (late() if number > 100 else shared())


def read():
    return "read "


@application.post("/item")
def create():
    late()
    return write() + shared()


def write():
    return "write "


def shared():
    return "shared"


def late():
    return "late"


@application.get("/profiled")
def profiled():
    return shared()


@application.get("/fails")
def fails():
    return deep()


def deep():
    raise ValueError("expected")


@application.errorhandler(ValueError)
def handled(error):
    return "handled", 500


@application.errorhandler(404)
def missing(error):
    return "missing", 404
"""


@pytest.fixture
def flask(workspace: Workspace) -> Workspace:
    workspace.write("app.py", FLASK)
    return workspace


def test_flask_by_method_and_rule(flask: Workspace) -> None:
    outcome = flask.run(
        WSGI
        + """
print(get("/item/17"), get("/item", "POST"), get("/item/18"), get("/fails"), get("/no/such/page"))
print(get("/profiled", x_profile_trace="p"))
""",
        env=ALWAYS,
    )
    answers = ["('200', 'read shared')", "('200', 'write shared')", "('200', 'read shared')", "('500', 'handled')"]
    assert outcome.out.splitlines() == [" ".join([*answers, "('404', 'missing')"]), "('200', 'shared')"]
    assert by_route(flask) == {
        "GET /item/<int:number>": {"before", "item", "read", "shared"},
        # What was silent by then is heard of again.
        "POST /item": {"before", "create", "write", "shared", "late"},
        "GET /fails": {"before", "fails", "deep", "handled"},
    }
    assert entered(flask) == set().union(*by_route(flask).values()) | {"missing"}
    [shard] = shards(flask)
    assert not any(secret in shard.read_bytes() for secret in (b"/item/17", b"/no/such"))
    assert outcome.wrote.lines("p", "app.py"), "profiles are as they were"


def test_after_the_first_requests_of_a_route_few_are_samples(flask: Workspace) -> None:
    driver = """
get("/item", "POST")
for number in [1] * 8 + [101] * {more}:
    get(f"/item/{{number}}")
"""
    seen = []
    for more in (7, 8):
        flask.run(WSGI + driver.format(more=more), env=ALWAYS)
        seen.append("late" in by_route(flask)["GET /item/<int:number>"])
        for shard in shards(flask):
            shard.unlink()
    assert seen == [False, True], "the 16th is one again"


def test_what_nobody_entered_before_is_known_without_a_sample(flask: Workspace) -> None:
    flask.run(
        WSGI
        + """
for number in [1] * 8 + [101]:
    get(f"/item/{number}")
""",
        env=ALWAYS,
    )
    assert "late" in by_route(flask)["GET /item/<int:number>"]


def test_another_day_begins_anew(flask: Workspace) -> None:
    flask.run(
        WSGI
        + """
pretend, DAY = _native.pretend, 24 * 60 * 60 * 1000
for day, path in ((20000, "/item/1"), (20000, "/fails"), (20001, "/item/2"), (20001, "/item/3")):
    _native.pretend = lambda moment: pretend(day * DAY)
    get(path)
""",
        env=ALWAYS,
    )
    assert set(by_route(flask, "2024-10-04")) == {"GET /item/<int:number>", "GET /fails"}
    assert by_route(flask, "2024-10-05") == {"GET /item/<int:number>": {"before", "item", "read", "shared"}}


def test_left_out_it_is_recorded_without_routes(flask: Workspace) -> None:
    env = {**ALWAYS, "PROFILE_COVERAGE_DISABLE": "routes"}
    flask.run(WSGI + "get('/item/1')\nassert not hasattr(app.Flask.full_dispatch_request, '__wrapped__')\n", env=env)
    assert (by_route(flask), entered(flask)) == ({}, {"before", "item", "read", "shared"})
    flask.run(WSGI.replace("_native.pretend(None)", "") + "get('/item/1')\n"
              "assert not hasattr(app.Flask.full_dispatch_request, '__wrapped__')\n", env={})  # fmt: skip


def test_a_crowd_of_routes_and_a_fork_stay_bounded(flask: Workspace) -> None:
    flask.write("app.py", FLASK + "\n\nfor n in range(600):\n"
                "    application.add_url_rule(f'/many/{n}/<x>', f'many{n}', lambda x: shared())\n")  # fmt: skip
    flask.run(
        WSGI
        + """
import os
for n in range(600):
    get(f"/many/{n}/x")
get("/item/1")
get("/item/1", "INVENTED")
pid = os.fork()
if pid == 0:
    get("/fails")
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        env=ALWAYS,
        warnings="ignore",
    )
    found = by_route(flask)
    assert len(found) == 501
    assert "shared" in found["GET /many/499/<x>"]
    # Those beyond the limit are one.
    assert found["(other routes)"] >= {"item", "shared", "fails"}
    [shard] = shards(flask)
    assert shard.stat().st_size < 300_000


def test_memory_does_not_grow_with_days_and_requests(flask: Workspace) -> None:
    outcome = flask.run(
        WSGI
        + """
import tracemalloc, gc
pretend, DAY = _native.pretend, 24 * 60 * 60 * 1000
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096
sizes = []
for day in range(20000, 20060):
    _native.pretend = lambda moment: pretend(day * DAY)
    for path in ("/item/1", "/item/101", "/fails", "/no/such"):
        for n in range(5):
            get(path)
    sizes.append(resident())
print(sizes[-1] - sizes[9])
""",
        env=ALWAYS,
    )
    assert int(outcome.out) < 2_000_000
    assert len(shards(flask)) == 60, "one a day"
    assert max(shard.stat().st_size for shard in shards(flask)) < 100_000
    assert set(by_route(flask, "2024-12-02")) == {"GET /item/<int:number>", "GET /fails"}


DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path, re_path

settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="app", MIDDLEWARE=["app.around"])


def around(get_response):
    def middleware(request):
        response = get_response(request)
        done()
        return response

    return middleware


def done():
    pass


def view(request, **given):
    return HttpResponse(shared())


def other(request, year):
    return HttpResponse(shared())


def shared():
    return "shared"


urlpatterns = [path("", view), path("shop/", include([path("<slug:name>", view), re_path(r"^y/([0-9]{4})$", other)]))]
application = get_wsgi_application()
"""

BOTTLE = """
from bottle import Bottle

application = Bottle()


@application.get("/shop/<name>")
def view(name):
    return shared()


def shared():
    return "shared"
"""

PYRAMID = """
from pyramid.config import Configurator
from pyramid.response import Response


def view(request):
    return Response(shared())


def shared():
    return "shared"


with Configurator() as config:
    config.add_route("shop", "/shop/{name}")
    config.add_view(view, route_name="shop")
    application = config.make_wsgi_app()
"""

FALCON = """
import falcon


class Shop:
    def on_get(self, request, response, name):
        response.text = shared()


def shared():
    return "shared"


application = falcon.App()
application.add_route("/shop/{name}", Shop())
"""


@pytest.mark.parametrize("first", [True, False])
def test_django(workspace: Workspace, first: bool) -> None:
    workspace.write("app.py", DJANGO)
    # The agent may come when Django has made its chain of middleware.
    driver = WSGI if not first else "from playtrace_agent import runtime\nruntime.start('web')\n" + WSGI
    workspace.run(
        driver + "get('/shop/17'), get('/shop/y/2026'), get('/'), get('/no/such'), get('/', 'INVENTED')\n", env=ALWAYS
    )
    found = by_route(workspace)
    assert set(found) == {"GET /shop/<slug:name>", "GET /shop/y/([0-9]{4})$", "GET /", "? /"}
    assert found["GET /shop/<slug:name>"] >= {"view", "shared", "done"}
    assert found["GET /shop/y/([0-9]{4})$"] == {"other", "shared", "done"}


@pytest.mark.parametrize(
    ("text", "route", "view"),
    [
        pytest.param(BOTTLE, "GET /shop/<name>", "view", id="bottle"),
        pytest.param(PYRAMID, "GET /shop/{name}", "view", id="pyramid"),
        pytest.param(FALCON, "GET /shop/{name}", "on_get", id="falcon"),
    ],
)
def test_other_frameworks(workspace: Workspace, text: str, route: str, view: str) -> None:
    workspace.write("app.py", text)
    workspace.run(WSGI + "get('/shop/17'), get('/no/such'), get('/shop/18')\n", env=ALWAYS, warnings="ignore")
    assert by_route(workspace) == {route: {view, "shared"}}


FASTAPI = """
import asyncio
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

application, router, below = FastAPI(), APIRouter(), FastAPI()
STOP = []


def needed():
    return 1


@application.get("/item/{number}")
async def item(number: int, needed: int = Depends(needed)):
    await asyncio.sleep(0)
    return shared()


def shared():
    return "shared"


@router.post("/thing/{name}")
def threaded(name: str, later: BackgroundTasks):
    later.add_task(afterwards)
    return shared()


def afterwards():
    pass


@below.get("/deep/{name}")
async def deep(name: str):
    return shared()


@application.get("/starts")
async def starts():
    STOP.append(asyncio.create_task(goes_on()))
    return 1


async def goes_on():
    while len(STOP) == 1:
        await asyncio.sleep(0)
    at_last()


def at_last():
    STOP.append(1)


@application.websocket("/talk/{name}")
async def talk(socket: WebSocket, name: str):
    await socket.accept()
    await socket.close()


def plain(request):
    return PlainTextResponse(shared())


application.include_router(router, prefix="/api")
application.mount("/below/{where}", below)
application.mount("/star", Starlette(routes=[Route("/plain/{name}", plain)]))
"""


def test_fastapi_and_starlette(workspace: Workspace) -> None:
    workspace.write("app.py", FASTAPI)
    workspace.run(
        HARNESS
        + """
target = trace(app.application)


async def request(path, method="GET"):
    _native.pretend(None)
    exchange = Exchange([{"type": "http.request", "body": b""}])
    of = {**scope(path=path), "method": method, "query_string": b"", "root_path": "", "http_version": "1.1"}
    await target(of, exchange.receive, exchange.send)
    assert exchange.sent[0]["status"] == 200, exchange.sent
    assert type(_native.held()) is not _native.Route


async def main():
    for path in ("/item/17", "/below/here/deep/x", "/star/plain/x", "/starts"):
        await request(path)
    await request("/api/thing/x", "POST")
    await asyncio.gather(*(request(path) for path in ("/item/1", "/star/plain/x", "/item/2")))
    exchange = Exchange([{"type": "websocket.connect"}])
    await target({**scope(path="/talk/x", kind="websocket"), "query_string": b""}, exchange.receive, exchange.send)
    # A task that a request has left behind goes on: it is real traffic, whatever became of the sample.
    app.STOP.append(1)
    await app.STOP[0]


asyncio.run(main())
""",
        env=ALWAYS,
        warnings="ignore",
    )
    found = by_route(workspace)
    assert found == {
        "GET /item/{number}": {"needed", "item", "shared"},
        "POST /api/thing/{name}": {"threaded", "shared", "afterwards"},
        "GET /below/{where}/deep/{name}": {"deep", "shared"},
        "GET /star/plain/{name}": {"plain", "shared"},
        "GET /starts": {"starts", "goes_on", "at_last"},
        "WS /talk/{name}": {"talk"},
    }
    assert entered(workspace) == set().union(*found.values())


JOBS = """
def real(n):
    return helper(n)


def other(n):
    return helper(n)


def helper(n):
    return n


def profiled(n):
    return n
"""
WORKER = """
import playtrace_agent.rq
playtrace_agent.rq.install()
import sys
import redis
from rq import Queue, {worker} as Worker
connection = redis.Redis.from_url(sys.argv[1])
Worker([Queue("q", connection=connection)], connection=connection).work(burst=True, logging_level="WARNING")
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield from serve(tmp_path)


@pytest.mark.parametrize("worker", ["Worker", "SimpleWorker"])
def test_rq_by_function(workspace: Workspace, url: str, worker: str) -> None:
    workspace.write("jobs.py", JOBS)
    workspace.write("driver_worker.py", WORKER.format(worker=worker))
    workspace.run(
        f"""
        import playtrace_agent, playtrace_agent.rq
        from playtrace_agent import runtime
        runtime.start("web")
        playtrace_agent.rq.install_queue_if_present()
        import jobs, redis, rq
        queue = rq.Queue("q", connection=redis.Redis.from_url({url!r}))
        for job in (jobs.real, jobs.other, jobs.real):
            queue.enqueue(job, 1)
        with playtrace_agent.trace("p"):
            queue.enqueue(jobs.profiled, 1)
        """,
        warnings="ignore",
    )
    command = [sys.executable, "driver_worker.py", url]
    subprocess.run(command, env=workspace.environment(ALWAYS), cwd=workspace.app, check=True, timeout=120)
    assert by_route(workspace, file="jobs.py") == {
        "job:jobs.real": {"real", "helper"},
        "job:jobs.other": {"other", "helper"},
    }
