"""A real server whose requests hand work to other processes, eight profiles at once: none wrong, none lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_load import compare, judge_all, most, serving
from process_load import COMMAND, KINDS, prepare, send_all

if TYPE_CHECKING:
    from conftest import Workspace

#: Each kind comes a few times, and for several profiles.
EACH = 8


def test_profiles_at_once(workspace: Workspace) -> None:
    prepare(workspace, EACH)
    with serving(workspace, *COMMAND) as port:
        answers = send_all(port, EACH)
        overlapping = max(most(port) for _ in range(20))
    assert overlapping >= 3, "they did not overlap"
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)
