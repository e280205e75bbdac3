"""What gunicorn serves for the oracle: the demo app, each traced request in its profile's context.

Importing this module starts the measurement; gunicorn imports it in its one worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tests.oracle import coverage_side

RECORDER = coverage_side.start()

# Only now: the app's imports are to be measured, as imports.
from weppdemo.wsgi import application as demo  # noqa: E402

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "HTTP_X_PROFILE_TRACE"


class ContextMiddleware:
    """Credits a request that carries the header to its profile, up to the end of its body."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the app, in the profile's context when the header asks for it."""
        slug = environ.get(HEADER)
        if slug is None:
            return self._app(environ, start_response)
        context = f"profile:{slug}"
        with RECORDER.during(context):
            body = self._app(environ, start_response)
        return ContextBody(body, context)


class ContextBody:
    """A response body whose iteration and closing happen in the profile's context."""

    def __init__(self, body: Iterable[bytes], context: str) -> None:
        self._body = body
        self._context = context
        with RECORDER.during(context):
            self._chunks = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        """The body itself."""
        return self

    def __next__(self) -> bytes:
        """The next piece."""
        with RECORDER.during(self._context):
            return next(self._chunks)

    def close(self) -> None:
        """Close the body as a server does when the last byte is sent."""
        close = getattr(self._body, "close", None)
        if close is not None:
            with RECORDER.during(self._context):
                close()


application = ContextMiddleware(demo)
