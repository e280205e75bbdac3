"""The WSGI middleware: a request with ``X-Profile-Trace`` is traced to the last byte of its body."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from . import anyone, runtime, units
from .opening import SLUG_HEADER, STATUS_HEADER, Opening, log, say_opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from . import _native

    ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class TraceMiddleware:
    """Wraps a WSGI app. Where the agent is off, use :func:`wrap`, which leaves the app as it is."""

    #: How requests are answered; `None` where nothing was to be traced when this was made.
    _answering: _native.Answering | None = None

    def __init__(self, app: WSGIApplication, *, refusal: Callable[[], str | None] | None = None) -> None:
        """Wrap ``app``; ``refusal`` says why nothing may be traced: it is asked until it has nothing to say."""
        self.app = app
        self._on = runtime.start("web")
        #: Is called for requests without the header: all that these pay for.
        self._untraced: Callable[[], object] | None = None
        if self._on:
            from . import body

            self._opening = Opening(refusal)
            self._untraced = self._opening.untraced
            answers = runtime.native.Answering(body.TracedBody, body.SizedBody, body.traced_file, units.tell)
            self._answering, self._answer = answers, answers.answer
            _answer_natively()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; one without the header goes straight to the app.

        Most do not come by here: see `_answer_natively`.
        """
        slug = environ.get(SLUG_HEADER)
        if slug is None or not self._on:
            if self._untraced is not None:
                self._untraced()
            return self.app(environ, start_response)
        if self._opening.is_open(slug, environ):
            return self.app(environ, start_response)
        unit, refused = self._opening.open(slug, environ)
        self._untraced = self._opening.untraced
        if unit is None:
            return self.app(environ, _with_status(start_response, f"off; {refused}"))
        if self._opening.is_settled() and self._answering is not None:
            self._answering.settle()
        return self._answer(unit, self.app, environ, start_response)

    def _refused(
        self, environ: WSGIEnvironment, start_response: StartResponse, why: BaseException | _native.Refused
    ) -> Iterable[bytes]:
        """Answer a request that could not be opened natively."""
        if isinstance(why, tuple):
            refused = self._opening.not_let_in(why, environ)
        elif isinstance(why, Exception):
            refused = self._opening.refused(why, environ)
        else:
            raise why
        return self.app(environ, _with_status(start_response, f"off; {refused}"))


#: The class, whatever somebody may put under its name.
_CLASS = TraceMiddleware


def _answer_natively() -> None:
    """Have calls of middlewares go a native way from now on, which leaves to Python what is out of the ordinary."""
    with runtime.changing():
        call: Any = _CLASS.__call__
        if hasattr(call, "__wrapped__"):
            return
        native = runtime.native
        natively = native.middleware_call(
            call, runtime.rest, anyone.meet, log.isEnabledFor, say_opened, _CLASS._refused
        )
        if natively is not None:
            _CLASS.__call__ = functools.update_wrapper(natively, call)  # type: ignore[method-assign]


def wrap(app: WSGIApplication) -> WSGIApplication:
    """Return the app with the middleware around it, or as it is where the agent is off."""
    return TraceMiddleware(app) if runtime.start("web") else app


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
