"""What drives an ASGI app in the tests of the middleware: a server as simple as can be, and apps."""

from __future__ import annotations

#: What drivers import: a server as simple as can be.
HARNESS = """
import asyncio, contextlib, contextvars, gc, logging, sys
import playtrace_agent, playtrace_agent.asgi
from playtrace_agent import _native
import app

trace = playtrace_agent.asgi.TraceMiddleware


def scope(slug=None, path="/x", kind="http", run=None, step=None, more=()):
    headers = [(b"host", b"x")]
    for name, value in ((b"", slug), (b"-run", run), (b"-step", step)):
        if value is not None:
            headers.append((b"x-profile-trace" + name, value.encode("latin-1")))
    found = {"type": kind, "path": path, "headers": [*headers, *more]}
    return {**found, "method": "GET"} if kind == "http" else found


class Exchange:
    def __init__(self, messages=()):
        self.messages = list(messages)
        self.sent = []
        self.held = set()

    async def receive(self):
        self.held.add(_native.held())
        await asyncio.sleep(0)
        self.held.add(_native.held())
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    async def send(self, message):
        self.held.add(_native.held())
        await asyncio.sleep(0)
        self.held.add(_native.held())
        self.sent.append(message)

    @property
    def status(self):
        found = [value for name, value in self.sent[0]["headers"] if name == b"x-profile-trace-status"]
        assert len(found) < 2, found
        return found[0].decode() if found else None


async def call(target, *args, messages=(), **kwargs):
    exchange = Exchange(messages)
    await target(scope(*args, **kwargs), exchange.receive, exchange.send)
    return exchange
"""

APP = """
import asyncio

START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}


async def plain(scope, receive, send):
    await asyncio.sleep(0)
    await send(START)
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    after()
    await send({"type": "http.response.body", "body": b""})
    background()


def after():
    return 1  # plain


def background():
    return 2  # plain


async def broken(scope, receive, send):
    await asyncio.sleep(0)
    raise KeyError("app")  # broken


async def waits(scope, receive, send):
    try:
        await asyncio.Event().wait()
    finally:
        cleaned()


def cleaned():
    return 3  # waits


async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": said()})
    left()


def said():
    return "said"  # echo


def left():
    return 4  # echo
"""


def marked(source: str, word: str) -> set[int]:
    """Return the numbers of the lines that end with a comment."""
    return {number for number, line in enumerate(source.lstrip("\n").splitlines(), 1) if line.endswith(f"# {word}")}
