"""What drivers have greenlets do, and which lines of it a profile has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
    import contextvars

    import gevent


    def inner():
        return b"inner"


    def other():
        return b"other"


    def forked():
        return b"forked"


    def in_between(events):
        events[0].set()
        events[1].wait()
        return inner()


    def empty(events):
        events[0].set()
        events[1].wait()
        return contextvars.Context().run(other)
"""
INNER, OTHER, FORKED = 7, 11, 15


def lines_of(workspace: Workspace, slug: str = "p") -> set[int]:
    """Return the lines of `work.py` that the ledger has for a profile."""
    return set(workspace.look().ledger_lines(slug, "r").get(f"profile:{slug}", {}).get("work.py", []))
