"""The apps that are flooded and do next to nothing, which shows what the agent does."""

from __future__ import annotations

from typing import Any

import playtrace_agent.asgi
import playtrace_agent.wsgi

from .paths import asgi_by_path, wsgi_by_path


def work() -> bytes:
    """Do what a request asks for."""
    return str(sum(n * n for n in range(300))).encode()


def _wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = work()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    body = work()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


wsgi = playtrace_agent.wsgi.TraceMiddleware(_wsgi)
asgi = playtrace_agent.asgi.TraceMiddleware(_asgi)
wsgi_ways = wsgi_by_path(wsgi, _wsgi)
asgi_ways = asgi_by_path(asgi, _asgi)
