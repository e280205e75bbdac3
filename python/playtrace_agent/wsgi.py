"""The WSGI middleware: a request with ``X-Profile-Trace`` is traced to the last byte of its body."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from . import runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

log = logging.getLogger("playtrace_agent")

SLUG_HEADER = "HTTP_X_PROFILE_TRACE"
RUN_HEADER = "HTTP_X_PROFILE_TRACE_RUN"
STEP_HEADER = "HTTP_X_PROFILE_TRACE_STEP"
STATUS_HEADER = "X-Profile-Trace-Status"


class TraceMiddleware:
    """Wraps a WSGI app. Where the agent is off, use :func:`wrap`, which leaves the app as it is."""

    def __init__(self, app: WSGIApplication, *, refusal: Callable[[], str | None] | None = None) -> None:
        """Wrap ``app``; ``refusal`` may say, per request, why nothing is to be traced."""
        self.app = app
        self._on = runtime.start("web")
        self._refusal = refusal
        self._said: set[str] = set()
        self._traced_before = False

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
            before = None
            try:
                # Within the block: a signal's handler may raise as soon as this has been done.
                before = runtime.native.enter(unit.number)
                body = self.app(environ, start_response)
            finally:
                runtime.native.enter(before)
        except BaseException:
            units.end(unit)
            raise
        if _needs_no_code(body, environ):
            units.end(unit)
            return body
        return TracedBody(body, unit)


class TracedBody:
    """A response body whose every piece is made by traced code."""

    __slots__ = ("_body", "_iterator", "_unit")

    def __init__(self, body: Iterable[bytes], unit: units.Unit) -> None:
        """Wrap ``body``; the unit ends with it."""
        self._body = body
        self._unit: units.Unit | None = unit
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Return itself: a body is read once."""
        return self

    def __next__(self) -> bytes:
        """Make the next piece."""
        iterator = self._iterator
        piece: bytes = self._inside(self._first) if iterator is None else self._inside(next, iterator)
        return piece

    def close(self) -> None:
        """Close the body, then the unit; once."""
        unit = self._unit
        if unit is None:
            return
        try:
            close: Callable[[], object] | None = getattr(self._body, "close", None)
            if close is not None:
                self._inside(close)
        finally:
            self._unit = None
            units.end(unit)

    def __del__(self) -> None:
        """Close a body that its server forgot."""
        if self._unit is not None:
            runtime.guard("closing a body that the server left open", self.close)

    def _first(self) -> bytes:
        self._iterator = iter(self._body)
        return next(self._iterator)

    def _inside(self, work: Callable[..., Any], *args: object) -> Any:
        unit = self._unit
        return work(*args) if unit is None else runtime.native.call_within(unit.number, work, *args)


def wrap(app: WSGIApplication) -> WSGIApplication:
    """Return the app with the middleware around it, or as it is where the agent is off."""
    return TraceMiddleware(app) if runtime.start("web") else app


def _for_header(reason: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in reason)[:300]


def _needs_no_code(body: object, environ: WSGIEnvironment) -> bool:
    """Say whether sending the body runs no code of the app: then the server must see the body itself."""
    if isinstance(body, list | tuple | bytes):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


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
