"""Response bodies whose every piece is made by traced code. Imported once the agent is on."""

from __future__ import annotations

import functools
import io
import operator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from . import runtime, units
from ._native import Body, call_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Files that are read by C functions, and those that read another one.
_FILES = (io.FileIO, io.BytesIO)
_BUFFERED = (io.BufferedReader, io.BufferedRandom)
#: What servers' file wrappers call the file that they hold: gunicorn's and wsgiref's, waitress's.
_HELD_AS = ("filelike", "file")
#: No piece is like it.
_NO_PIECE = object()


class TracedBody(Body):
    """The native one, closed at the latest when its server forgets it."""

    __slots__ = ()

    def left_open(self) -> None:
        """Close a body that its server forgot; called by the native part."""
        runtime.guard("closing a body that the server left open", self.close)


class SizedBody(TracedBody):
    """One that says how many pieces it has: servers may tell the content's length by that (PEP 3333)."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        """Return what has no length: `list` would ask for it, and the iterator that the app made is not asked."""
        return iter(self.__next__, _NO_PIECE)

    def __len__(self) -> int:
        """Ask the app's object."""
        pieces: int = call_within(self.unit, len, self.answer)
        return pieces


def traced_file(body: Any, unit: units.Unit) -> Any:
    """Return the body to give to the server, whose own file wrapper the app answered.

    The server has to see that as it is, for `sendfile` and for the content's length. What it does with a file of the
    app's is work of the unit, which ends when it is closed. ``None``: no code of the app is left to run.
    """
    attributes: dict[str, Any] = getattr(body, "__dict__", {})
    name = next((name for name in _HELD_AS if name in attributes), None)
    if name is None:
        # Not made by Python. By a descriptor, the server sends what the file holds, whatever `read` makes of it.
        if _has_descriptor(getattr(body, "filelike", None), unit):
            return None
        return TracedBody(body, unit, units.tell)
    file, close = attributes[name], attributes.get("close")
    if _is_plain(file) and (close is None or getattr(close, "__self__", None) is file):
        return None
    within = _File(file, unit)
    if close is None and hasattr(type(body), "close"):
        # That closes the file.
        within.close = TracedBody(file, unit, units.tell).close
    else:
        body.close = TracedBody(SimpleNamespace(close=close), unit, units.tell).close
    setattr(body, name, within)
    return body


class _File:
    """A file of the app's, in a file wrapper: servers read it, ask for its descriptor, or where it stands."""

    #: Where the wrapper's class closes the file, the end of the unit.
    close: Callable[[], None]

    def __init__(self, file: Any, unit: units.Unit) -> None:
        self._file, self._unit = file, unit

    def __getattr__(self, name: str) -> Any:
        found = call_within(self._unit, getattr, self._file, name)
        return functools.partial(call_within, self._unit, found) if callable(found) else found


def _is_plain(file: Any) -> bool:
    """Say whether a file is read without the app's code. What a buffer reads may be the app's."""
    try:
        return type(file.raw if type(file) in _BUFFERED else file) in _FILES
    except ValueError:
        # It was detached: the server finds out by itself.
        return True


def _has_descriptor(file: Any, unit: units.Unit) -> bool:
    try:
        if not _is_plain(file):
            call_within(unit, operator.methodcaller("fileno"), file)
    except Exception:  # noqa: BLE001 - whatever the app's object raises: the server reads it piece by piece
        return False
    return True
