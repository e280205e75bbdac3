"""Loops of one profile fall silent beside others that lack their lines; whoever comes there later misses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace
    from scenario import Scenario

WORK = """
def hot(times, branch, wait=None):
    total = 0
    for number in range(times):
        if branch == "odd":
            total += 1
        elif branch == "even":
            total += 2
        else:
            total += 3
    if wait is not None:
        wait()
    for number in range(times):
        total += 4
        total += 5
    return total


def forever():
    total = 0
    while True:
        try:
            yield total
        except ValueError:
            total += 6
            total += 7
"""
REQUEST = """
import contextvars, threading
import playtrace_agent, work
from playtrace_agent.wsgi import TraceMiddleware


def request(slug, do, step=1):
    def app(environ, start_response):
        start_response("200 OK", [])
        do()
        return []

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": slug}
    environ |= {"HTTP_X_PROFILE_TRACE_RUN": "r", "HTTP_X_PROFILE_TRACE_STEP": str(step)}
    list(TraceMiddleware(app)(environ, lambda *args: None))
"""
ODD, EVEN, OTHER, WAIT, AFTER, THROWN = 5, 7, 9, 11, (13, 14), (24, 25)


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    workspace.write("work.py", WORK.removeprefix("\n"))
    return workspace


def lines(wrote: Scenario, slug: str) -> set[int]:
    """Return the lines of the work, under any context of a profile."""
    found = wrote.ledger_lines(slug, "r")
    return {line for files in found.values() for line in files.get("work.py", [])}


def numbers() -> set[int]:
    """Check the numbers above against the text."""
    text = WORK.removeprefix("\n").splitlines()
    return {number for number, line in enumerate(text, 1) if "total +=" in line or "wait()" in line}


def test_the_numbers_are_those_of_the_text() -> None:
    assert numbers() == {ODD, EVEN, OTHER, WAIT, *AFTER, *THROWN}


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
def test_who_comes_back_to_code_that_another_one_silenced_misses_nothing(work: Workspace, granularity: str) -> None:
    outcome = work.run(
        REQUEST
        + """
request("a", lambda: work.hot(1, "odd"), 1)
for turn in range(3):
    request("b", lambda: work.hot(5000, "even"), turn)
request("a", lambda: work.hot(1, "even"), 2)
request("b", lambda: [work.hot(1, "odd") for _ in range(300)], 9)
request("a", lambda: work.hot(1, "other"), 3)
""",
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    assert {ODD, EVEN, OTHER} <= lines(outcome.wrote, "a")
    assert lines(outcome.wrote, "b") & {ODD, EVEN, OTHER} == {ODD, EVEN}


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
def test_who_waits_within_the_code_meanwhile_misses_nothing(work: Workspace, granularity: str) -> None:
    outcome = work.run(
        REQUEST
        + """
inside, gate = threading.Event(), threading.Event()


def wait():
    inside.set()
    gate.wait()


def warm():
    for _ in range(200):
        work.hot(0, "odd")
    work.hot(1, "odd", wait)


waiting = threading.Thread(target=request, args=("b", warm))
waiting.start()
inside.wait()
request("a", lambda: work.hot(5000, "even"))
gate.set()
waiting.join()
""",
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    assert {ODD, WAIT, *AFTER} <= lines(outcome.wrote, "b")
    assert EVEN not in lines(outcome.wrote, "b")


def test_a_child_process_goes_on_after_a_block_of_another_profile(workspace: Workspace) -> None:
    """What a child process runs has no token of its own: it belongs to the process's."""
    workspace.write(
        "kid.py",
        """
        import playtrace_agent

        def both():
            total = 0
            for turn in (0, 1):
                if turn == 0:
                    block = playtrace_agent.trace("b", "r")
                    block.__enter__()
                for number in range(5000 if turn == 0 else 3):
                    total += 1
                    total += 2
                if turn == 0:
                    block.__exit__(None, None, None)
            return total

        both()
        """,
    )
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent
        with playtrace_agent.trace("a", "r"):
            subprocess.run([sys.executable, "kid.py"], check=True)
        """
    )
    source = (workspace.app / "kid.py").read_text().splitlines()
    looped = {number for number, line in enumerate(source, 1) if "total +=" in line}
    for slug in ("a", "b"):
        found = outcome.wrote.ledger_lines(slug, "r").get(f"profile:{slug}", {}).get("kid.py", [])
        assert looped <= set(found), slug


def test_no_audit_hook_hears_of_the_agent_within_a_loop(work: Workspace) -> None:
    """A hook may hold a lock that the loop holds, or let other threads run."""
    outcome = work.run(
        """
        import sys, playtrace_agent, work

        seen, listening = [], []
        with playtrace_agent.trace("a", "r"):
            work.hot(1, "odd")
            with playtrace_agent.trace("b", "r"):
                work.hot(1, "odd")
                sys.addaudithook(lambda event, args: seen.append(event) if listening else None)
                listening.append(True)
                work.hot(5000, "even")
                listening.clear()
        print(seen)
        """
    )
    assert outcome.out == "[]\n"


def test_what_is_thrown_in_in_an_empty_context_is_named(work: Workspace) -> None:
    outcome = work.run(
        REQUEST
        + """
def throw_often():
    mine = work.forever()
    next(mine)
    for _ in range(5000):
        mine.throw(ValueError())


def throw_from_nowhere():
    next(of_a)
    contextvars.Context().run(of_a.throw, ValueError())


of_a = work.forever()
request("b", throw_often)
request("a", throw_from_nowhere)
"""
    )
    assert [record["reason"] for record in outcome.wrote.of_kind("a", "lost", "r")]
    assert set(THROWN) <= lines(outcome.wrote, "b")


@pytest.mark.parametrize("started", [False, True], ids=["not on yet", "on"])
def test_the_first_work_of_a_process_in_several_threads_at_once(workspace: Workspace, started: bool) -> None:
    workspace.write(
        "first.py",
        """
        import playtrace_agent

        def first(gate, slug):
            gate()
            with playtrace_agent.trace(slug, "r"):
                one = 1
                two = 2
            return one + two
        """,
    )
    begin = 'playtrace_agent.runtime.start("other")' if started else "pass"
    outcome = workspace.run(
        f"""
        import threading, first, playtrace_agent, playtrace_agent.runtime
        {begin}
        gate = threading.Barrier(6)
        threads = [threading.Thread(target=first.first, args=(gate.wait, f"p{{n}}")) for n in range(6)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    for n in range(6):
        found = outcome.wrote.ledger_lines(f"p{n}", "r").get(f"profile:p{n}", {})
        assert {6, 7} <= set(found.get("first.py", [])), n
