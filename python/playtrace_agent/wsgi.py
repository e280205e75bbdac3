"""The WSGI middleware: a request with ``X-Profile-Trace`` is traced to the last byte of its body."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from . import runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

log = logging.getLogger("playtrace_agent")

SLUG_HEADER = "HTTP_X_PROFILE_TRACE"
RUN_HEADER = "HTTP_X_PROFILE_TRACE_RUN"
STATUS_HEADER = "X-Profile-Trace-Status"
#: Reasons that were logged: apps may be wrapped within each other.
_said: set[str] = set()
#: A process may live for months.
_REMEMBERED = 1000


class TraceMiddleware:
    """Wraps a WSGI app. Where the agent is off, use :func:`wrap`, which leaves the app as it is."""

    def __init__(self, app: WSGIApplication, *, refusal: Callable[[], str | None] | None = None) -> None:
        """Wrap ``app``; ``refusal`` says why nothing may be traced: it is asked until it has nothing to say."""
        self.app = app
        self._on = runtime.start("web")
        self._refusal = refusal
        self._traced_before = False
        if self._on:
            from . import body

            native = runtime.native
            self._open = native.open_request
            self._answer = native.Answering(body.TracedBody, body.SizedBody, body.traced_file, units.tell).answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; one without the header goes straight to the app."""
        slug = environ.get(SLUG_HEADER)
        if slug is None or not self._on:
            if self._traced_before:
                runtime.rest()
            return self.app(environ, start_response)
        if runtime.native.current_run() == (slug, environ.get(RUN_HEADER) or None):
            # A middleware around this one has opened it: apps may be wrapped within each other.
            return self.app(environ, start_response)
        self._traced_before = True
        if log.isEnabledFor(logging.INFO):
            log.info("header seen: profile %s, process %d, %s", slug, os.getpid(), _what(environ))
        try:
            refused = self._refusal and self._refusal()
            if refused:
                refused = self._refuse(refused, environ)
            else:
                self._refusal = None
                unit, first = self._open(slug, environ)
                if first:
                    units.say_began(slug, environ.get(RUN_HEADER))
        except runtime.native.SwitchedOffError as error:
            refused = _for_header(str(error))
        except (ValueError, runtime.native.TraceError) as error:
            refused = self._refuse(str(error), environ)
        except Exception as error:  # noqa: BLE001 - the request comes first
            runtime.let_through(error)
            refused = self._refuse(f"the agent failed: {error!r}", environ)
        if refused:
            return self.app(environ, _with_status(start_response, f"off; {refused}"))
        return self._answer(unit, self.app, environ, start_response)

    def _refuse(self, reason: str, environ: WSGIEnvironment) -> str:
        """Log a reason, once, and make it fit into a header."""
        if reason not in _said and len(_said) < _REMEMBERED:
            _said.add(reason)
            log.warning("not traced: %s: %s", _what(environ), reason)
        return _for_header(reason)


def wrap(app: WSGIApplication) -> WSGIApplication:
    """Return the app with the middleware around it, or as it is where the agent is off."""
    return TraceMiddleware(app) if runtime.start("web") else app


def _for_header(reason: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in reason)[:300]


def _what(environ: WSGIEnvironment) -> str:
    return f"{environ.get('REQUEST_METHOD', '')} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"


def _with_status(start_response: StartResponse, said: str) -> StartResponse:
    """Return a ``start_response`` that adds the trace status to the headers."""

    # Servers take the arguments by these names, too.
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        headers = [*headers]
        ours = (STATUS_HEADER, said)
        # A middleware within may have said it already.
        if ours not in headers:
            headers.append(ours)
        # Servers and test clients need not know the third argument.
        return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

    return start
