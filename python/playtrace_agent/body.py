"""A response body whose every piece is made by traced code. Imported once the agent is on."""

from __future__ import annotations

from . import runtime
from ._native import Body


class TracedBody(Body):
    """The native one, closed at the latest when its server forgets it."""

    __slots__ = ()

    def __del__(self) -> None:
        """Close a body that its server left open."""
        if self.is_open:
            runtime.guard("closing a body that the server left open", self.close)
