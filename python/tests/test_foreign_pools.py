"""Process pools that are not the standard library's: real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from handover import FOUR, THREE, drive, lines, unkept

if TYPE_CHECKING:
    from conftest import Workspace


def reasons(workspace: Workspace, slug: str) -> list[str]:
    return [record["reason"] for record in workspace.look().of_kind(slug, "lost")]


@pytest.mark.parametrize("why", ["another release", "multiprocessing is left out"])
def test_calls_of_loky_that_cannot_be_followed_are_named(workspace: Workspace, why: str) -> None:
    outcome = drive(
        workspace,
        f"""
if {why == "another release"}:
    # Before the agent is switched on: a release that does not have what it needs.
    import loky.backend.reduction
    del loky.backend.reduction.dumps
else:
    os.environ["PROFILE_COVERAGE_DISABLE"] = "multiprocessing"
import loky
with playtrace_agent.trace("made"):
    pool = loky.get_reusable_executor(max_workers=1, timeout=60)
    assert pool.submit(lambda: 5).result() == 5
    assert list(pool.map(work.one, range(3))) == [1, 2, 3]
assert pool.submit(work.two, 1).result() == 2
with playtrace_agent.trace("used"):
    future = pool.submit(work.fails, 3)
    future.add_done_callback(lambda future: work.four(1))
    assert type(future.exception()) is ValueError
with playtrace_agent.trace("plain"):
    work.three(1)
pool.shutdown()
""",
    )
    for slug in ("made", "used"):
        assert "the calls of a loky pool are not followed" in reasons(workspace, slug)
    assert reasons(workspace, "plain") == []
    # Its threads and processes are nobody's, and what the work does itself is followed.
    assert lines(outcome.wrote) == {"used": [FOUR], "plain": [THREE]}
    for slug in ("made", "used", "plain"):
        assert outcome.wrote.unclosed(slug) == []
        assert unkept(outcome.wrote, slug) == []


@pytest.mark.parametrize("package", ["billiard", "multiprocess"])
def test_calls_of_relatives_of_multiprocessing_are_named(workspace: Workspace, package: str) -> None:
    """Their processes are forked, and work for others than who started them."""
    outcome = drive(
        workspace,
        f"""
from {package}.pool import Pool
with playtrace_agent.trace("made"):
    pool = Pool(1)
    assert pool.apply(work.one, (1,)) == 2
assert pool.apply(work.two, (1,)) == 2
with playtrace_agent.trace("mapped"):
    assert pool.map(work.three, range(3)) == [-3, -2, -1]
with playtrace_agent.trace("imap"):
    assert list(pool.imap(work.three, range(3))) == [-3, -2, -1]
    with playtrace_agent.trace("unordered"):
        assert sorted(pool.imap_unordered(work.three, range(3))) == [-3, -2, -1]
with playtrace_agent.trace("plain"):
    work.four(1)
pool.close()
pool.join()
""",
    )
    for slug in ("made", "mapped", "imap", "unordered"):
        assert reasons(workspace, slug) == [f"the calls of {package}.pool are not followed"], slug
    assert reasons(workspace, "plain") == []
    assert lines(outcome.wrote) == {"plain": [FOUR]}
    for slug in ("made", "mapped", "imap", "unordered", "plain"):
        assert outcome.wrote.unclosed(slug) == [], slug
        assert unkept(outcome.wrote, slug) == [], slug


@pytest.mark.parametrize("package", ["loky", "billiard", "multiprocess"])
def test_the_agent_is_off(workspace: Workspace, package: str) -> None:
    module = "process_executor" if package == "loky" else "pool"
    outcome = workspace.run(
        f"""
        import sys, playtrace_agent
        import {package}.{module}
        with playtrace_agent.trace("p"):
            pass
        assert "playtrace_agent.foreign" not in sys.modules
        """,
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    assert outcome.err == ""
