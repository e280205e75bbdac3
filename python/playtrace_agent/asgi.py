"""The ASGI middleware: a request or websocket with ``X-Profile-Trace`` is traced until the app is done with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import leftovers, runtime, units
from .opening import (
    ADDRESS,
    RUN_HEADER,
    SIGNATURE_HEADER,
    SLUG_HEADER,
    STATUS_HEADER,
    STEP_HEADER,
    Opening,
    log,
    say_opened,
)
from .steps import Outside, Within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import TypeAlias

    from .opening import Environ

    # As ASGI 3 has them; frameworks have classes of their own for each.
    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
    #: A request's unit, if it has one; its answer's trace status, empty where another middleware says it; what is to be
    #: said: whether it is its run's first here, or how many were refused.
    _Opened: TypeAlias = tuple[int | None, bytes, int | None]

_OFF = b"off; "
_STATUS = STATUS_HEADER.lower().encode()
#: Headers as ASGI has them, with PEP 3333's names.
_HEADERS = {
    b"x-profile-trace": SLUG_HEADER,
    b"x-profile-trace-run": RUN_HEADER,
    b"x-profile-trace-step": STEP_HEADER,
    b"x-profile-trace-signature": SIGNATURE_HEADER,
}
#: What carries an answer's headers.
_WITH_HEADERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class TraceMiddleware:
    """Wraps an ASGI 3 app, outermost. Where the agent is off, use :func:`wrap`, which leaves the app as it is."""

    def __init__(self, app: App, *, refusal: Callable[[], str | None] | None = None) -> None:
        """Wrap ``app``; ``refusal`` says why nothing may be traced: it is asked until it has nothing to say."""
        self.app = app
        self._on = runtime.start("web")
        #: Opens a request's unit, if it has the header.
        self._open: Callable[[Scope], _Opened | None] = _open_none
        #: Is called for requests without the header: all that these pay for.
        self._untraced: Callable[[], object] | None = None
        if self._on:
            self._opening = Opening(refusal)
            self._untraced = self._opening.untraced
            self._settle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Answer a request; what has no such header (``lifespan`` has none) goes straight to the app."""
        try:
            opened = self._open(scope)
        except Exception as error:  # noqa: BLE001 - the request comes first
            opened = None, _off(self._opening.refused(error, _environ(scope) or {})), None
            self._untraced = self._opening.untraced
        if opened is NotImplemented:
            opened = self._open_here(scope)
        if opened is None:
            if self._on and scope.get("type") == "lifespan":
                return await self._live(scope, receive, send)
            if self._untraced is not None:
                self._untraced()
            return await self.app(scope, receive, send)
        number, status, told = opened
        if number is None:
            if told is not None:
                self._opening.say_refused(status.removeprefix(_OFF).decode(), told, _environ(scope) or {})
            return await self.app(scope, receive, _saying(send, status) if status else send)
        unit = units.Unit(number)
        outside = Outside()
        try:
            if told is not None:
                self._begin(scope, bool(told))
            send = outside.sending(send, _saying_on)
            return await Within(unit, self.app, scope, outside.receiving(receive), send)
        finally:
            try:
                outside.forget()
                runtime.guard("letting go of a request", lambda: leftovers.let_go(unit))
            finally:
                units.end(unit)

    def _open_here(self, scope: Scope) -> _Opened | None:
        """Open a request's unit where another middleware may have done so, types are others, or a refusal is asked."""
        environ = _environ(scope)
        if environ is None:
            return None
        slug = environ[SLUG_HEADER]
        if self._opening.is_open(slug, environ):
            return None, b"", None
        unit, refused = self._opening.open(slug, environ)
        self._settle()
        return unit, b"on" if refused is None else _off(refused), None

    def _settle(self) -> None:
        """Open natively from now on, where nothing else is to be asked any more."""
        self._untraced = self._opening.untraced
        self._open = runtime.native.open_scope if self._opening.is_settled() else _open_elsewhere

    def _begin(self, scope: Scope, first: bool) -> None:
        """Do what there is to do once a request's unit was opened natively."""
        self._opening.let_in()
        self._untraced = self._opening.untraced
        if first or log.isEnabledFor(logging.INFO):
            environ = _environ(scope) or {}
            say_opened(environ[SLUG_HEADER], environ, first)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app live. uvicorn ends by a signal, without ``atexit``: what is in no shard yet is written here."""
        try:
            return await self.app(scope, receive, send)
        finally:
            leftovers.let_all_go()
            units.flush()


def _open_none(_scope: Scope) -> None:
    """Open nothing: the agent is off."""


def _open_elsewhere(_scope: Scope) -> Any:
    """Leave it to Python's way."""
    return NotImplemented


def _off(reason: str) -> bytes:
    return _OFF + reason.encode()


def wrap(app: App) -> App:
    """Return the app with the middleware around it, or as it is where the agent is off."""
    return TraceMiddleware(app) if runtime.start("web") else app


def _environ(scope: Scope) -> Environ | None:
    """Return what PEP 3333 would say of a request with the header."""
    found: Environ = {}
    for name, value in scope.get("headers") or ():
        known = _HEADERS.get(name)
        if known is not None:
            # WSGI servers join what comes twice with a comma, which none of them may have: then it is refused. However
            # often it comes, nothing is put together here.
            found[known] = "," if known in found else value.decode("latin-1")
    if SLUG_HEADER not in found:
        return None
    found |= {"REQUEST_METHOD": scope.get("method") or "WS", "PATH_INFO": scope.get("path") or ""}
    client = scope.get("client")
    if client:
        found[ADDRESS] = client[0]
    return found


def _saying(send: Send, said: bytes) -> Send:
    """Return a ``send`` that adds the trace status to an answer's headers."""
    with_status = runtime.native.with_status

    # The server's own coroutine, without one of ours around it. Strangers can have it called as often as they like:
    # this frame is the only one.
    def sending(message: Message) -> Awaitable[Any]:
        made = with_status(message, said)
        return send(_with_status_of(message, said) if made is NotImplemented else made)

    return sending


def _saying_on(message: Message) -> Message:
    made = runtime.native.with_status(message, b"on")
    return _with_status_of(message, b"on") if made is NotImplemented else made


def _with_status_of(message: Message, said: bytes) -> Message:
    """Do what is done natively for messages of any types."""
    if not isinstance(message, dict) or message.get("type") not in _WITH_HEADERS:
        return message
    try:
        headers = list(message.get("headers") or ())
        # A mounted app may have a middleware of its own, which knows better.
        if any(name.lower() == _STATUS for name, _ in headers):
            return {**message, "headers": headers}
    except (TypeError, ValueError, AttributeError):
        # Whatever they are, the server will say so.
        return message
    # The app may keep its message, and its list.
    return {**message, "headers": [*headers, (_STATUS, said)]}
