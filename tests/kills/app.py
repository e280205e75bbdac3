"""The web app under test: `gunicorn 'tests.kills.app:create()'`.

`/work/<number>/<function>.<function>…` does that piece of work.
"""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import playtrace_agent.wsgi

from tests.kills import page


def create() -> WSGIApplication:
    """Return the app, traced where the environment says so."""
    mapped = page.mapped()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _, what, *rest = environ["PATH_INFO"].split("/")
        if what == "work":
            mapped.do(int(rest[0]), rest[1].split("."))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    return playtrace_agent.wsgi.wrap(app)
