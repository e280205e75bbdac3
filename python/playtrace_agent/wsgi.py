"""The WSGI middleware: a request with ``X-Profile-Trace`` is traced to the last byte of its body."""

from __future__ import annotations

import io
import logging
import operator
import os
from typing import TYPE_CHECKING, Any

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
#: Files that are read by C functions, and those that read another one.
_FILES = (io.FileIO, io.BytesIO)
_BUFFERED = (io.BufferedReader, io.BufferedRandom)


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

            self._within, self._body, self._close_within = runtime.native.call_within, body.traced, body.close_within

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
            return self._refuse(f"the agent failed: {error!r}", what)

    def _refuse(self, reason: str, what: str) -> str:
        """Log a reason, once, and make it fit into a header."""
        if reason not in self._said and len(self._said) < 1000:
            self._said.add(reason)
            log.warning("not traced: %s: %s", what, reason)
        return _for_header(reason)

    def _traced(self, unit: units.Unit, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body: Iterable[bytes] = self._within(unit, self.app, environ, start_response)
            if not _needs_no_code(body, environ, unit):
                return self._body(body, unit)
            if _has_close_of_its_own(body):
                self._close_within(body, unit)
                return body
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


def _needs_no_code(body: object, environ: WSGIEnvironment, unit: units.Unit) -> bool:
    """Say whether sending the body runs no code of the app: then the server must see the body itself."""
    # A class that is derived from one of them may make its pieces as it likes.
    if type(body) in _PLAIN:
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and type(body) is wrapper and _is_file(getattr(body, "filelike", None), unit)


def _has_close_of_its_own(body: Any) -> bool:
    """Say whether the end of such a body may run code of the app: a wrapper calls the `close` of what it wraps."""
    if type(body) in _PLAIN:
        return False
    close = getattr(body, "__dict__", {}).get("close")
    return close is not None and type(getattr(close, "__self__", None)) not in (*_FILES, *_BUFFERED)


def _is_file(filelike: Any, unit: units.Unit) -> bool:
    """Say whether the server reads this without the app's code."""
    try:
        # What a buffer reads may be the app's.
        if type(filelike.raw if type(filelike) in _BUFFERED else filelike) in _FILES:
            return True
        # With a descriptor, servers send what the file holds, which need not be what `read` makes of it.
        runtime.native.call_within(unit, operator.methodcaller("fileno"), filelike)
    except Exception:  # noqa: BLE001 - whatever the app's object raises: the server reads it piece by piece
        return False
    return True


def _step(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{text[:40]!r} is not a step: X-Profile-Trace-Step is a whole number")
    return int(text)


def _with_status(start_response: StartResponse, status: str) -> StartResponse:
    """Return a ``start_response`` that adds the trace status to the headers."""

    def start(
        line: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        headers = [*headers, (STATUS_HEADER, status)]
        # Servers and test clients need not know the third argument.
        return start_response(line, headers) if exc_info is None else start_response(line, headers, exc_info)

    return start
