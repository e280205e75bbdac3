"""Opens the unit of a request that carries ``X-Profile-Trace``, or says why it can't be traced, whatever the server."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from . import anyone, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from . import _native

    #: What PEP 3333 says of a request; of other protocols, what it would say.
    Environ: TypeAlias = dict[str, Any]

log = logging.getLogger("playtrace_agent")

SLUG_HEADER = "HTTP_X_PROFILE_TRACE"
RUN_HEADER = "HTTP_X_PROFILE_TRACE_RUN"
STEP_HEADER = "HTTP_X_PROFILE_TRACE_STEP"
SIGNATURE_HEADER = "HTTP_X_PROFILE_TRACE_SIGNATURE"
ADDRESS = "REMOTE_ADDR"
STATUS_HEADER = "X-Profile-Trace-Status"
#: Reasons that were logged: apps may be wrapped within each other.
_said: set[str] = set()
#: A process may live for months.
_REMEMBERED = 1000
#: Characters of a request's line in the log.
_LONGEST = 200


class Opening:
    """Opens requests' units in this process. Made once the agent is on."""

    def __init__(self, refusal: Callable[[], str | None] | None) -> None:
        """``refusal`` says why nothing may be traced: it is asked until it has nothing to say."""
        self._refusal = refusal
        self._open = runtime.native.open_request
        self._meet = anyone.meeting()
        #: What is to be called for a request without the header, if anything is.
        self.untraced: Callable[[], None] | None = self._meet

    def is_open(self, slug: str, environ: Environ) -> bool:
        """Say whether a middleware around this one has opened it: apps may be wrapped within each other.

        What a child process works for as a whole is another unit.
        """
        native = runtime.native
        return type(native.held()) is native.Token and native.current_run() == (slug, environ.get(RUN_HEADER) or None)

    def open(self, slug: str, environ: Environ) -> tuple[units.Unit, None] | tuple[None, str]:
        """Open the unit of a request; its number, or why there is none, fit for a header. Raises nothing of its own."""
        try:
            refused = self._refusal and self._refusal()
            if refused:
                return None, self._refuse(refused, environ)
            self._refusal = None
            opening = self._open(slug, environ)
            if isinstance(opening[0], str):
                return None, self.not_let_in(opening, environ)
            unit, first = opening
            self.let_in()
            if first or log.isEnabledFor(logging.INFO):
                say_opened(slug, environ, first)
        except Exception as error:  # noqa: BLE001 - the request comes first
            return None, self.refused(error, environ)
        return units.Unit(unit), None

    def not_let_in(self, refused: _native.Refused, environ: Environ) -> str:
        """Return why a request is not let in, fit for a header."""
        reason, count = refused
        if count is not None:
            self.say_refused(reason, count, environ)
        return reason

    def say_refused(self, reason: str, count: int, environ: Environ) -> None:
        """Say why a request is not let in, and that it is one of so many."""
        _warn("not traced: %s: %s (%d so far in process %d)", _what(environ), reason, count, os.getpid())

    def refused(self, error: Exception, environ: Environ) -> str:
        """Return why a request is not traced, fit for a header, where opening it raised that."""
        native = runtime.native
        if isinstance(error, native.FullError):
            return self._refuse(str(error), environ)
        if isinstance(error, native.SwitchedOffError):
            self.let_in()
            runtime.say_unsaid()
            return _for_header(str(error))
        if isinstance(error, (ValueError, native.TraceError)):
            self.let_in()
            return self._refuse(str(error), environ)
        runtime.let_through(error)
        return self._refuse(f"the agent failed: {error!r}", environ)

    def is_settled(self) -> bool:
        """Say whether nothing is asked any more before a request is opened."""
        return self._refusal is None

    def let_in(self) -> None:
        """Note that there may be something to listen for from now on. Whoever is refused changes nothing."""
        if self.untraced is self._meet:
            self.untraced = runtime.rest if self._meet is None else self._rest_and_meet

    def _rest_and_meet(self) -> None:
        runtime.rest()
        anyone.meet()

    def _refuse(self, reason: str, environ: Environ) -> str:
        """Log a reason, once, and make it fit into a header."""
        if reason not in _said and len(_said) < _REMEMBERED:
            _said.add(reason)
            _warn("not traced: %s: %s", _what(environ), reason)
        return _for_header(reason)


def say_opened(slug: str, environ: Environ, first: bool) -> None:
    """Say that a request is traced, if anybody wants to know, and do what there is to do at a run's first one."""

    def say() -> None:
        if log.isEnabledFor(logging.INFO):
            runtime.say(logging.INFO, "header seen: profile %s, process %d, %s", slug, os.getpid(), _what(environ))

    runtime.guard("saying that a request is traced", say)
    if first:
        # Whatever the log does, the verdict is told.
        runtime.guard("saying that a run begins", lambda: units.say_began(slug, environ.get(RUN_HEADER)))


def _warn(message: str, *args: object) -> None:
    """Log why a request is not traced. It is answered, whatever the app's handlers and filters make of that."""
    runtime.guard("saying why a request is not traced", lambda: log.warning(message, *args))


def _for_header(reason: str) -> str:
    shown = reason[:300]
    # Nearly all are: strangers send as many as they like.
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(c if " " <= c <= "~" else "?" for c in shown)


def _what(environ: Environ) -> str:
    """Return a request's method and path, on one line: a log is read line by line."""
    line = f"{environ.get('REQUEST_METHOD', '')} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return "".join(c if c.isprintable() else "?" for c in line[:_LONGEST])
