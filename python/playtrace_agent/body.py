"""Response bodies whose every piece is made by traced code. Imported once the agent is on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from . import runtime, units
from ._native import Body, call_within

if TYPE_CHECKING:
    from collections.abc import Iterable


class TracedBody(Body):
    """The native one, closed at the latest when its server forgets it."""

    __slots__ = ()

    def __del__(self) -> None:
        """Close a body that its server left open."""
        if self.unit:
            runtime.guard("closing a body that the server left open", self.close)


class SizedBody(TracedBody):
    """One that says how many pieces it has: servers may tell the content's length by that (PEP 3333)."""

    __slots__ = ()

    def __len__(self) -> int:
        """Ask the app's object."""
        pieces: int = call_within(self.unit, len, self.answer)
        return pieces


def traced(answer: Iterable[bytes], unit: units.Unit) -> TracedBody:
    """Return the body to give to the server; the unit ends when it is closed."""
    kind = SizedBody if hasattr(type(answer), "__len__") else TracedBody
    return kind(answer, unit, units.end)


def close_within(body: Any, unit: units.Unit) -> None:
    """Let the end of a body that its server has to see as it is be work of a unit, which ends then."""
    end = TracedBody(SimpleNamespace(close=body.close), unit, units.end)
    body.close = end.close
