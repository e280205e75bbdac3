"""Fresh lines that follow one another go a way whose places are kept: what moves these loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

LINES = 12
#: What happens between two lines of a function, and where the later lines must be.
EVENTS = {
    "a flush": "playtrace_agent.flush()",
    "two flushes": "playtrace_agent.flush(); playtrace_agent.flush()",
    "another run in between": "other()",
    "code that is compiled": "[exec(compile(f'x = {n}', f'other{n}.py', 'exec')) for n in range(300)]",
    "a collection": "gc.collect()",
    "a new context": "contextvars.copy_context().run(int)",
}


def _source(event: str) -> str:
    body = [f"    value = {number}" for number in range(LINES)]
    body[LINES // 2] = f"    {event}"
    return "\n".join(
        [
            "import contextvars, gc, playtrace_agent",
            "def other():",
            "    with playtrace_agent.trace('q', 'r'):",
            "        far()",
            "def far():",
            "    value = 1",
            "    value = 2",
            "    value = 3",
            "def work():",
            *body,
            "",
        ]
    )


@pytest.mark.parametrize("granularity", ["profile", "request"])
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_what_happens_between_two_lines_loses_neither(workspace: Workspace, event: str, granularity: str) -> None:
    workspace.write("work.py", _source(event))
    workspace.run(
        """
        import playtrace_agent, work
        for run in ("r", "s"):
            with playtrace_agent.trace("p", run):
                work.work()
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    lines = set(range(10, 10 + LINES))
    for run in ("r", "s"):
        told = workspace.look().ledger_lines("p", run)
        mine = {line for context, files in told.items() if context != "import" for line in files.get("work.py", ())}
        assert mine - set(range(3, 5)) == lines, run
    if event == "other()":
        others = workspace.look().ledger_lines("q", "r")
        assert {line for files in others.values() for line in files["work.py"]} >= {6, 7, 8}
        assert not {line for files in others.values() for line in files["work.py"]} & lines


#: More functions than stretches are kept for, each with a call of the next one in the middle.
DEEP = 40


def _deep() -> str:
    functions = []
    for number in range(DEEP):
        call = f"f{number + 1}(end)" if number + 1 < DEEP else "end()"
        before, after = ["    value = 1", "    value = 2"], ["    value = 3", "    value = 4"]
        functions += [f"def f{number}(end):", *before, f"    {call}", *after]
    return "\n".join([*functions, ""])


@pytest.mark.parametrize("granularity", ["profile", "steps", "request"])
@pytest.mark.parametrize("end", ["int", "playtrace_agent.flush", "other", "other_code"])
def test_callers_go_on_where_they_were(workspace: Workspace, end: str, granularity: str) -> None:
    """What is at the end of the calls may move everything that was kept of the callers."""
    workspace.write("work.py", _deep())
    workspace.write("far.py", "def far():\n    value = 1\n    value = 2\n    value = 3\n")
    workspace.run(
        f"""
        import far, playtrace_agent, work
        def other():
            with playtrace_agent.trace("q", "r"):
                far.far()
        def other_code():
            for number in range(300):
                exec(compile(f"x = {{number}}", f"other{{number}}.py", "exec"))
        for run in ("r", "s"):
            with playtrace_agent.trace("p", run):
                work.f0({end})
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    all_lines = {line for line in range(1, 6 * DEEP + 1) if line % 6 != 1}
    for run in ("r", "s"):
        told = workspace.look().ledger_lines("p", run)
        mine = {line for context, files in told.items() if context != "import" for line in files.get("work.py", ())}
        assert mine >= all_lines, run
        assert {line % 6 for line in mine - all_lines} <= {1}, "the lines of `def` alone"


@pytest.mark.parametrize("granularity", ["profile", "request"])
def test_threads_are_in_the_same_functions_by_turns(workspace: Workspace, granularity: str) -> None:
    """Both are in all of the functions when one goes back through them and the other one is thrown out."""
    workspace.write("work.py", _deep())
    workspace.run(
        """
        import threading, playtrace_agent, work
        there = threading.Barrier(2)
        def traced(slug, end):
            with playtrace_agent.trace(slug, "r"):
                try:
                    work.f0(end)
                except ZeroDivisionError:
                    pass
        def leave():
            there.wait()
            1 / 0
        threads = [
            threading.Thread(target=traced, args=("p", there.wait)),
            threading.Thread(target=traced, args=("q", leave)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    before = {line for line in range(1, 6 * DEEP + 1) if line % 6 in (2, 3, 4)}
    after = {line for line in range(1, 6 * DEEP + 1) if line % 6 in (5, 0)}
    for slug, lines in (("p", before | after), ("q", before)):
        told = workspace.look().ledger_lines(slug, "r")
        mine = {line for context, files in told.items() if context != "import" for line in files.get("work.py", ())}
        assert {line for line in mine if line % 6 != 1} == lines, slug


def test_another_greenlet_goes_on_in_the_same_function(workspace: Workspace) -> None:
    body = ["    value = 1", "    value = 2", "    stop()", "    value = 3", "    value = 4", "    value = 5"]
    workspace.write("work.py", "\n".join(["def both(stop):", *body, ""]))
    workspace.run(
        """
        import greenlet, playtrace_agent, work
        main = greenlet.getcurrent()
        def traced(slug):
            with playtrace_agent.trace(slug, "r"):
                work.both(main.switch)
        p, q = greenlet.greenlet(traced), greenlet.greenlet(traced)
        p.switch("p")
        q.switch("q")
        # No function is entered and no generator resumed: nothing but its context says whose line is next.
        p.switch()
        q.throw(greenlet.GreenletExit)
        """
    )
    told = workspace.look()
    assert told.ledger_lines("p", "r")["profile:p"]["work.py"] == [2, 3, 4, 5, 6, 7]
    assert told.ledger_lines("q", "r")["profile:q"]["work.py"] == [2, 3, 4]


def test_the_variable_is_set_by_others_in_the_middle(workspace: Workspace) -> None:
    # As asgiref carries contexts from thread to thread: whatever is in one is set in the other.
    body = ["    value = 1", "    value = 2", "    variable.set(None)", "    value = 3", "    value = 4", ""]
    workspace.write("work.py", "\n".join(["def nobodys(variable):", *body]))
    workspace.run(
        """
        import contextvars, playtrace_agent, work
        with playtrace_agent.trace("p", "r"):
            [variable] = [var for var in contextvars.copy_context() if var.name == "playtrace_agent"]
            work.nobodys(variable)
        """
    )
    assert workspace.look().ledger_lines("p", "r")["profile:p"]["work.py"] == [2, 3, 4]
