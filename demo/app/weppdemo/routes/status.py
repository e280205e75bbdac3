"""Is the app there; and the old way to ask for a job."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from weppdemo.queues import job_tree, overall_status
from weppdemo.routes.common import redis_client

blueprint = Blueprint("status", __name__)


@blueprint.get("/health")
def health() -> Response:
    """Answers when the app does."""
    return jsonify(status="ok")


@blueprint.get("/rq/api/jobstatus/<ident>")
def jobstatus(ident: str) -> Response:
    """The state of a job and all that it enqueued, without the details."""
    return jsonify(id=ident, status=overall_status(job_tree(redis_client(), ident)))
