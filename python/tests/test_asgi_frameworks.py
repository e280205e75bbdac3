"""Frameworks as they come, under uvicorn: what each runs elsewhere is work of the request that it runs it for."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from asgi_harness import marked
from asgi_load import serving
from test_gunicorn import get

if TYPE_CHECKING:
    from conftest import Workspace

#: What they share: something to wait for, and the answer that says that a server is there.
COMMON = """
import asyncio
import os

import playtrace_agent.asgi


async def pause():
    for _ in range(3):
        await asyncio.sleep(0.002)


def ready(app):
    async def within(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/ready":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            return await send({"type": "http.response.body", "body": b"done"})
        await app(scope, receive, send)

    return playtrace_agent.asgi.wrap(within)
"""

STARLETTE = """
from common import pause, ready
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from a2wsgi import WSGIMiddleware


async def routed(request):
    await pause()
    return PlainTextResponse("done")  # routed


def threaded(request):
    return PlainTextResponse("done")  # threaded


async def background(request):
    return PlainTextResponse("done", background=BackgroundTask(later))


def later():
    return 1  # background


async def streamed(request):
    async def pieces():
        await pause()
        yield "do"
        await pause()
        yield "ne"  # streamed

    return StreamingResponse(pieces())


async def from_thread(request):
    def pieces():
        yield "do"
        yield "ne"  # from_thread

    return StreamingResponse(pieces())


def mounted(environ, start_response):
    start_response("200 OK", [])
    yield b"do"
    yield b"ne"  # mounted


async def failing(request):
    raise KeyError("expected")  # failing


async def handled(request, error):
    await pause()
    return PlainTextResponse("done")  # failing


async def talk(socket):
    await socket.accept()
    text = await socket.receive_text()
    await pause()
    await socket.send_text(text * 2)  # talk
    await socket.close()


class Seen(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


traced = ready(
    Starlette(
        routes=[
            *(Route("/" + v.__name__, v) for v in (routed, threaded, background, streamed, from_thread, failing)),
            WebSocketRoute("/talk", talk),
            Mount("/mounted", WSGIMiddleware(mounted)),
        ],
        middleware=[Middleware(Seen)],
        exception_handlers={KeyError: handled},
    )
)
"""

FASTAPI = """
from typing import Annotated

from common import pause, ready
from fastapi import BackgroundTasks, Depends, FastAPI, Header, WebSocket
from fastapi.responses import PlainTextResponse

app = FastAPI(default_response_class=PlainTextResponse)


def opened():
    yield "done"
    closed()


def closed():
    return 1  # depends


@app.get("/depends")
async def depends(what: Annotated[str, Depends(opened)]):
    await pause()
    return what  # depends


@app.get("/threaded")
def threaded():
    return "done"  # threaded


@app.get("/background")
async def background(tasks: BackgroundTasks):
    tasks.add_task(later)
    tasks.add_task(later_too)
    return "done"


def later():
    return 1  # background


async def later_too():
    await pause()
    return 1  # background


@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    await socket.send_text(await socket.receive_text() * 2)  # talk
    await socket.close()


traced = ready(app)
"""

DJANGO = """
import asyncio
import contextlib

import django
from asgiref.sync import async_to_sync, sync_to_async
from common import pause, ready
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="tests",
    MIDDLEWARE=["asgi_app.synchronous", "django.middleware.common.CommonMiddleware"],
)


def synchronous(get_response):
    def middleware(request):
        return get_response(request)

    return middleware


async def routed(request):
    await pause()
    return HttpResponse("done")  # routed


def threaded(request):
    return HttpResponse("done")  # threaded


async def across(request):
    await sync_to_async(across_thread)()
    return HttpResponse("done")


def across_thread():
    return async_to_sync(back)()


async def back():
    await pause()
    return 1  # across


async def streamed(request):
    async def pieces():
        yield "do"
        await pause()
        yield "ne"  # streamed

    return StreamingHttpResponse(pieces())


urlpatterns = [path(view.__name__, view) for view in (routed, threaded, across, streamed)]
traced = ready(get_asgi_application())
"""

QUART = """
from common import pause, ready
from quart import Quart, websocket
from quart.utils import run_sync

app = Quart(__name__)


@app.get("/routed")
async def routed():
    await pause()
    return "done"  # routed


@app.get("/threaded")
def threaded():
    return "done"  # threaded


@app.get("/streamed")
async def streamed():
    async def pieces():
        yield b"do"
        await pause()
        yield b"ne"  # streamed

    return pieces(), 200


@app.get("/background")
async def background():
    app.add_background_task(later)
    return "done"


async def later():
    await pause()
    return 1  # background


@app.websocket("/talk")
async def talk():
    await websocket.accept()
    await websocket.send(await websocket.receive() * 2)  # talk


app.asgi_app = ready(app.asgi_app)
traced = app
"""

FRAMEWORKS = {
    "starlette": (STARLETTE, "routed threaded background streamed from_thread mounted failing talk"),
    "fastapi": (FASTAPI, "depends threaded background talk"),
    "django": (DJANGO, "routed threaded across streamed"),
    "quart": (QUART, "routed threaded streamed background talk"),
}


async def talk(port: int, slug: str | None) -> tuple[str, str | None]:
    """Say something over a websocket: the answer, and the trace status of the handshake."""
    from websockets.asyncio.client import connect

    headers = {"X-Profile-Trace": slug} if slug else {}
    async with connect(f"ws://127.0.0.1:{port}/talk", additional_headers=headers) as socket:
        await socket.send("do")
        said = await socket.recv()
        assert socket.response is not None
        return str(said), socket.response.headers.get("X-Profile-Trace-Status")


def ask(port: int, what: str, slug: str | None) -> tuple[str, str | None]:
    """Have the app do one thing for a profile."""
    if what == "talk":
        return asyncio.run(talk(port, slug))
    return get(f"http://127.0.0.1:{port}/{what}", **({"X_Profile_Trace": slug} if slug else {}))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_profile_has_its_own_lines(workspace: Workspace, framework: str) -> None:
    source, names = FRAMEWORKS[framework]
    kinds = names.split()
    workspace.write("common.py", COMMON)
    workspace.write("asgi_app.py", source)
    command = ("uvicorn", "--port", "PORT", "--log-level", "warning", "asgi_app:traced")
    wanted = [(kind, slug) for _ in range(4) for kind in kinds for slug in (kind, None)]
    with serving(workspace, *command) as port, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: ask(port, *one), wanted))
    said = {"talk": "dodo"}
    assert answers == [(said.get(kind, "done"), "on" if slug else None) for kind, slug in wanted]
    wrote = workspace.look()
    for kind in kinds:
        ledger: Any = wrote.ledger_lines(kind)
        found = {line for at in (wrote.contexts(), ledger) for line in at[f"profile:{kind}"].get("asgi_app.py", [])}
        marks = {other: marked(source, other) for other in kinds}
        assert marks[kind] <= found, (kind, "lost")
        others = set().union(*(lines for other, lines in marks.items() if other != kind))
        assert not others & found, (kind, "wrong", others & found)
        assert wrote.unclosed(kind) == [], (kind, json.dumps(wrote.records(kind), indent=0))
