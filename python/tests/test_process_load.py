"""A real server whose requests hand work to other processes, eight profiles at once: none wrong, none lost."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from asgi_load import judge_all, requests
from process_load import KINDS, MUTATIONS, SHORT, kind, load

if TYPE_CHECKING:
    from conftest import Workspace


def test_profiles_at_once(workspace: Workspace) -> None:
    found, answers = load(workspace, SHORT)
    assert {kind(answer.request) for answer in answers} == set(KINDS)
    began = sorted(answers, key=lambda answer: answer.began)
    overlapping = sum(later.began < earlier.ended for earlier, later in itertools.pairwise(began))
    assert overlapping > len(answers) // 2, "they did not overlap"
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, SHORT)


def test_the_load_sees_an_agent_that_is_wrong(workspace: Workspace) -> None:
    """One of its faults; `python -m tests.stress` has them all."""
    mutation = "a-worker-stays-in-a-call-that-is-over"
    found, _ = load(workspace, SHORT, mutation)
    assert getattr(found, MUTATIONS[mutation][1])


def test_every_profile_does_everything_in_a_long_load() -> None:
    did = {(request.profile, kind(request)) for share in requests(len(KINDS)) for request in share}
    assert len(did) == 9 * len(KINDS)
