"""The app behind `/weppcloud`."""

from __future__ import annotations

from datetime import timedelta

import playtrace_agent.flask
from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from weppdemo import admin, auth
from weppdemo.errors import UserError
from weppdemo.queues import connect
from weppdemo.routes import ALL_BLUEPRINTS
from weppdemo.routes.common import open_run
from weppdemo.settings import Settings


def create_app() -> Flask:
    """Make the app from the environment's settings."""
    settings = Settings.from_env()
    app = Flask("weppdemo")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        MAX_CONTENT_LENGTH=16 * 1024 * 1024,
    )
    # Between containers there is no TLS, and a Secure cookie goes nowhere: FLASK_SESSION_COOKIE_SECURE=false.
    app.config.from_prefixed_env()
    app.extensions["weppdemo.redis"] = connect(settings)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(admin.blueprint)
    for blueprint in ALL_BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.before_request(auth.require_login)
    app.before_request(open_run)
    app.register_error_handler(UserError, user_error)
    app.register_error_handler(HTTPException, http_error)
    playtrace_agent.flask.init_app(app)
    return app


def user_error(error: UserError) -> tuple[Response, int]:
    """What went wrong, as JSON."""
    return jsonify(success=False, error=str(error)), error.status


def http_error(error: HTTPException) -> tuple[Response, int]:
    """Flask's own errors in the same shape."""
    return jsonify(success=False, error=error.description), error.code or 500
