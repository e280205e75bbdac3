"""The apps of frameworks that are flooded. By themselves: importing frameworks takes longest of all."""

from __future__ import annotations

import fastapi
import flask
import playtrace_agent.asgi
import playtrace_agent.flask

from .app import work

flask_app = flask.Flask(__name__)


@flask_app.get("/<page>")
def _flask(page: str) -> flask.Response:
    return flask.jsonify(page=page, work=work().decode())


playtrace_agent.flask.init_app(flask_app)
_fastapi_app = fastapi.FastAPI()


@_fastapi_app.get("/{page}")
async def _fastapi(page: str) -> dict[str, str]:
    return {"page": page, "work": work().decode()}


fastapi_app = playtrace_agent.asgi.TraceMiddleware(_fastapi_app)
