"""The small app behind `/rq-engine`: what became of a job."""

from __future__ import annotations

import playtrace_agent.flask
from flask import Blueprint, Flask, Response, current_app, jsonify
from redis import Redis
from rq.exceptions import NoSuchJobError

from weppdemo.queues import connect, job_tree, overall_status
from weppdemo.settings import Settings

blueprint = Blueprint("engine", __name__)


def create_engine_app() -> Flask:
    """Make the app from the environment's settings."""
    app = Flask("weppdemo.engine")
    app.extensions["weppdemo.redis"] = connect(Settings.from_env())
    app.register_blueprint(blueprint)
    app.register_error_handler(NoSuchJobError, no_such_job)
    playtrace_agent.flask.init_app(app)
    return app


@blueprint.get("/health")
def health() -> Response:
    """Answers when the app and its Redis do."""
    return jsonify(status="ok", redis=bool(_redis().ping()))


@blueprint.get("/api/jobinfo/<ident>")
def jobinfo(ident: str) -> Response:
    """The job, its children, and the state of the whole tree."""
    tree = job_tree(_redis(), ident)
    own = tree["status"]
    tree.update(job_id=ident, own_status=own, status=overall_status(tree))
    return jsonify(tree)


def no_such_job(_error: NoSuchJobError) -> tuple[Response, int]:
    """404 for a job that never was, or that Redis has forgotten."""
    return jsonify(status="not_found", error="there is no such job"), 404


def _redis() -> Redis:
    client: Redis = current_app.extensions["weppdemo.redis"]
    return client
