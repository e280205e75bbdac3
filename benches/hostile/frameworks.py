"""The apps of frameworks that are flooded. By themselves: importing frameworks takes longest of all."""

from __future__ import annotations

import fastapi
import flask
import playtrace_agent.asgi
import playtrace_agent.flask

from .app import work
from .paths import asgi_by_path, wsgi_by_path

_flask_app = flask.Flask(__name__)


@_flask_app.get("/<page>")
def _flask(page: str) -> flask.Response:
    return flask.jsonify(page=page, work=work().decode())


_direct = _flask_app.wsgi_app
playtrace_agent.flask.init_app(_flask_app)
flask_ways = wsgi_by_path(_flask_app.wsgi_app, _direct)
_fastapi_app = fastapi.FastAPI()


@_fastapi_app.get("/{page}")
async def _fastapi(page: str) -> dict[str, str]:
    return {"page": page, "work": work().decode()}


fastapi_ways = asgi_by_path(playtrace_agent.asgi.TraceMiddleware(_fastapi_app), _fastapi_app)
