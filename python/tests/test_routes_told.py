"""Who tells the route of real traffic: frameworks other than Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asgi_harness import HARNESS
from traffic import ALWAYS, WSGI, by_route, entered

if TYPE_CHECKING:
    from conftest import Workspace

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

FLASK = """
from flask import Flask

application = Flask(__name__)


@application.get("/")
@application.get("/shop/<name>")
def view(name=""):
    return "shared"
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


#: Asks an ASGI app as a server would.
ASKING = (
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


"""
)


def test_fastapi_and_starlette(workspace: Workspace) -> None:
    workspace.write("app.py", FASTAPI)
    workspace.run(
        ASKING
        + """
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


#: As the interpreter leaves a module at its end, where something has a hold of it.
GONE = """
from playtrace_agent import routes
for name in list(vars(routes)):
    if name != "__builtins__":
        setattr(routes, name, None)
"""


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        pytest.param(FLASK, ("/shop/17", "/"), id="flask"),
        pytest.param(DJANGO, ("/", "/shop/17"), id="django"),
        pytest.param(BOTTLE, ("/no/such", "/shop/17"), id="bottle"),
        pytest.param(PYRAMID, ("/no/such", "/shop/17"), id="pyramid"),
        pytest.param(FALCON, ("/no/such", "/shop/17"), id="falcon"),
    ],
)
def test_at_the_end_of_the_interpreter_requests_are_answered_as_ever(
    workspace: Workspace, text: str, paths: tuple[str, str]
) -> None:
    """Those of a known route, and those whose route nobody has asked for before."""
    workspace.write("app.py", text)
    first, other = paths
    outcome = workspace.run(
        WSGI + f"before = get({first!r})\n{GONE}assert get({first!r}) == before\nassert get({other!r})[0] == '200'\n",
        env=ALWAYS,
        warnings="ignore",
    )
    assert outcome.err == ""


def test_at_the_end_of_the_interpreter_tasks_are_answered_as_ever(workspace: Workspace) -> None:
    workspace.write("app.py", FASTAPI)
    workspace.run(
        ASKING
        + f"""
async def main():
    await request("/item/17")
    {GONE.replace(chr(10), chr(10) + "    ")}
    for path in ("/item/17", "/below/here/deep/x", "/star/plain/x"):
        await request(path)


asyncio.run(main())
""",
        env=ALWAYS,
        warnings="ignore",
    )
