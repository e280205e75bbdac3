"""The apps that are flooded: two that do next to nothing, which shows what the agent does, and two of frameworks."""

from __future__ import annotations

from typing import Any

import fastapi
import flask
import playtrace_agent.asgi
import playtrace_agent.flask
import playtrace_agent.wsgi


def _work() -> bytes:
    return str(sum(n * n for n in range(300))).encode()


def _wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = _work()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    body = _work()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


wsgi = playtrace_agent.wsgi.TraceMiddleware(_wsgi)
asgi = playtrace_agent.asgi.TraceMiddleware(_asgi)

flask_app = flask.Flask(__name__)


@flask_app.get("/<page>")
def _flask(page: str) -> flask.Response:
    return flask.jsonify(page=page, work=_work().decode())


playtrace_agent.flask.init_app(flask_app)
_fastapi_app = fastapi.FastAPI()


@_fastapi_app.get("/{page}")
async def _fastapi(page: str) -> dict[str, str]:
    return {"page": page, "work": _work().decode()}


fastapi_app = playtrace_agent.asgi.TraceMiddleware(_fastapi_app)
