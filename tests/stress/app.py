"""The stress app under a WSGI server: `gunicorn 'tests.stress.app:create()'`."""

from __future__ import annotations

import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import playtrace_agent.flask
from flask import Flask

from tests.stress import green, support

# CPython's own is 5 ms: a thread would seldom be interrupted between two lines of one request.
SWITCH_SECONDS = 2e-5


def create() -> WSGIApplication:
    """Return the app, traced where the environment says so."""
    from stresswork import kinds  # type: ignore[import-not-found]

    sys.setswitchinterval(SWITCH_SECONDS)
    # Greenlets of one thread can't each run a loop.
    support.start(loop=not green.patched())
    app = Flask(__name__)
    playtrace_agent.flask.init_app(app)
    app.add_url_rule("/work", view_func=kinds.view)
    app.add_url_rule("/ready", view_func=lambda: "ready")
    return Recorded(app)


class Recorded:
    """Records each request around everything else, to the last byte of its body."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.recording = support.Recording()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["PATH_INFO"] != "/work":
            return self.app(environ, start_response)
        query = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        mark = self.recording.begin(query)
        return _Body(self.app(environ, start_response), self.recording, mark)


class _Body:
    def __init__(self, body: Iterable[bytes], recording: support.Recording, mark: tuple[int, int]) -> None:
        self.body = body
        self.recording = recording
        self.mark = mark

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()
        self.recording.end(self.mark)
