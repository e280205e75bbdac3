"""The stress app under an ASGI server: `uvicorn --factory tests.stress.asgi_app:create`.

Requests are coroutines of the server's loop, which waits for what they do in threads, as with an app's synchronous
routes.
"""

from __future__ import annotations

import importlib
import sys
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import playtrace_agent.asgi

from tests.stress import support
from tests.stress.app import SWITCH_SECONDS

App = Callable[[Any, Any, Any], Awaitable[Any]]


def create() -> App:
    """Return the app, traced where the environment says so."""
    # A request must not find an import undone.
    importlib.import_module("stresswork.coroutines")
    sys.setswitchinterval(SWITCH_SECONDS)
    support.start()
    return Recorded(playtrace_agent.asgi.wrap(answer))


def create_bridged() -> App:
    """Return the app with a database."""
    importlib.import_module("stresswork.bridge")
    return create()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, or live until told to end."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    query = query_of(scope)
    said = await work(query) if query else "ready"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    # In two pieces, between which others have their turn.
    await send({"type": "http.response.body", "body": said[:1].encode(), "more_body": True})
    await anyio.sleep(0)
    await send({"type": "http.response.body", "body": said[1:].encode()})
    if query:
        await afterwards(query)


async def live(receive: Any, send: Any) -> None:
    """Live until told to end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    # Some servers end by a signal: what holds a request's context would look cut off.
    support.forget_all()
    alchemy = sys.modules.get("tests.stress.alchemy")
    if alchemy is not None:
        await alchemy.dispose()
    await send({"type": "lifespan.shutdown.complete"})


async def work(query: dict[str, str]) -> str:
    """Do what a request, or a job, asks for."""
    from stresswork import coroutines  # type: ignore[import-not-found]

    profile = int(query["profile"])
    ticket = support.Ticket.parse(profile, query)
    said: str = await coroutines.work(profile, int(query["key"]), query["features"].split("."), ticket)
    return said


async def afterwards(query: dict[str, str]) -> None:
    """Do what comes after the answer."""
    from stresswork import coroutines

    if "afterwards" in query["features"].split("."):
        await coroutines.afterwards(int(query["profile"]), int(query["key"]))


def query_of(scope: Any) -> dict[str, str]:
    """Return a request's parameters; none where it asks whether the app is ready."""
    return dict(urllib.parse.parse_qsl(scope["query_string"].decode(), keep_blank_values=True))


class Recorded:
    """Records each request around everything else."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.recording = support.Recording()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != "/work":
            return await self.app(scope, receive, send)
        mark = self.recording.begin(query_of(scope))
        try:
            return await self.app(scope, receive, send)
        finally:
            self.recording.end(mark)
