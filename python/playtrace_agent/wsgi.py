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
STEP_HEADER = "HTTP_X_PROFILE_TRACE_STEP"
STATUS_HEADER = "X-Profile-Trace-Status"

#: Bodies that are there already.
_PLAIN = (list, tuple, bytes)


class TraceMiddleware:
    """Wraps a WSGI app. Where the agent is off, use :func:`wrap`, which leaves the app as it is."""

    def __init__(self, app: WSGIApplication, *, refusal: Callable[[], str | None] | None = None) -> None:
        """Wrap ``app``; ``refusal`` may say, per request, why nothing is to be traced."""
        self.app = app
        self._on = runtime.start("web")
        self._refusal = refusal
        self._said: set[str] = set()
        self._traced_before = False
        if self._on:
            from . import body

            self._within, self._body, self._file = runtime.native.call_within, body.traced, body.traced_file

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; one without the header goes straight to the app."""
        slug = environ.get(SLUG_HEADER)
        if slug is None or not self._on:
            if self._traced_before:
                runtime.rest()
            return self.app(environ, start_response)
        self._traced_before = True
        unit = self._begin(slug, environ)
        if isinstance(unit, str):
            return self.app(environ, _with_status(start_response, f"off; {unit}"))
        return self._traced(unit, environ, _with_status(start_response, "on"))

    def _begin(self, slug: str, environ: WSGIEnvironment) -> units.Unit | str:
        """Open the request's unit, or say why it is not traced."""
        what = f"{environ.get('REQUEST_METHOD', '')} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        if log.isEnabledFor(logging.INFO):
            log.info("header seen: profile %s, process %d, %s", slug, os.getpid(), what)
        try:
            refusal = self._refusal() if self._refusal else None
            if refusal is not None:
                return self._refuse(refusal, what)
            return units.begin(
                "request",
                slug,
                environ.get(RUN_HEADER),
                step=_step(environ.get(STEP_HEADER)),
                what=what[:200],
            )
        except runtime.native.SwitchedOffError as error:
            return _for_header(str(error))
        except (ValueError, runtime.native.TraceError) as error:
            return self._refuse(str(error), what)
        except Exception as error:  # noqa: BLE001 - the request comes first
            runtime.let_through(error)
            return self._refuse(f"the agent failed: {error!r}", what)

    def _refuse(self, reason: str, what: str) -> str:
        """Log a reason, once, and make it fit into a header."""
        if reason not in self._said and len(self._said) < 1000:
            self._said.add(reason)
            log.warning("not traced: %s: %s", what, reason)
        return _for_header(reason)

    def _traced(self, unit: units.Unit, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Before the app is called: it may have one of its own, which is its code.
        wrapper = environ.get("wsgi.file_wrapper")
        try:
            body: Iterable[bytes] = self._within(unit, self.app, environ, start_response)
            # A class that is derived from one of these may make its pieces as it likes.
            if type(body) not in _PLAIN:
                traced = self._file(body, unit) if type(body) is wrapper else self._body(body, unit)
                if traced is not None:
                    return traced
        except BaseException:
            units.end(unit)
            raise
        units.end(unit)
        return body


def wrap(app: WSGIApplication) -> WSGIApplication:
    """Return the app with the middleware around it, or as it is where the agent is off."""
    return TraceMiddleware(app) if runtime.start("web") else app


def _for_header(reason: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in reason)[:300]


def _step(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{text[:40]!r} is not a step: X-Profile-Trace-Step is a whole number")
    return int(text)


def _with_status(start_response: StartResponse, said: str) -> StartResponse:
    """Return a ``start_response`` that adds the trace status to the headers."""

    # Servers take the arguments by these names, too.
    def start(
        status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        headers = [*headers, (STATUS_HEADER, said)]
        # Servers and test clients need not know the third argument.
        return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

    return start
