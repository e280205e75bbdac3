"""The stress app under an ASGI server: `uvicorn --factory tests.stress.asgi_app:create`.

The loop of a worker waits for its requests' threads, as with an app's synchronous routes.
"""

from __future__ import annotations

import importlib
import sys
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import playtrace_agent.asgi

from tests.stress import support
from tests.stress.app import SWITCH_SECONDS

App = Callable[[Any, Any, Any], Awaitable[Any]]


def create() -> App:
    """Return the app, traced where the environment says so."""
    # A request must not find an import undone.
    importlib.import_module("stresswork.kinds")
    sys.setswitchinterval(SWITCH_SECONDS)
    support.start()
    return Recorded(playtrace_agent.asgi.wrap(answer))


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, or live until told to end."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    said = await anyio.to_thread.run_sync(work, query_of(scope)) if scope["path"] == "/work" else "ready"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    # In two pieces, between which others have their turn.
    await send({"type": "http.response.body", "body": said[:1].encode(), "more_body": True})
    await anyio.sleep(0)
    await send({"type": "http.response.body", "body": said[1:].encode()})


def work(query: dict[str, str]) -> str:
    """Do what a request asks for, in a thread of the pool."""
    from stresswork import kinds  # type: ignore[import-not-found]

    profile = int(query["profile"])
    ticket = support.Ticket.parse(profile, query)
    said: str = kinds.job(profile, int(query["key"]), query["features"].split("."), ticket)
    return said


def query_of(scope: Any) -> dict[str, str]:
    """Return a request's parameters."""
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
