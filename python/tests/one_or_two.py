"""An app with one request for each of two lines, and what a merge of its run holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import coverage
from judged import CLIENT

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/one":
        return [b"one"]
    return [b"two"]
"""
#: Lines of `work.py` that a request for `/one`, one for `/two`, and both execute.
ONE, TWO = [2, 3, 4], [2, 3, 5]
BOTH = [2, 3, 4, 5]


def written(workspace: Workspace) -> Workspace:
    """Write `work.py`, and the client that a driver imports."""
    workspace.write("work.py", WORK)
    workspace.write("driver_client.py", CLIENT)
    return workspace


def merged(work: Workspace, name: str = "p.coverage") -> list[int]:
    """Return the lines of the merged file."""
    data = coverage.CoverageData(str(work.data / name))
    data.read()
    lines = sorted(data.lines("work.py") or [])
    data.close(force=True)
    return lines
