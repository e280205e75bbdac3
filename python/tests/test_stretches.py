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


#: `outer` calls functions of its own file and of another one, whose lines lie far from all of its own, and goes on.
CALLS = 6
FAR_FROM = 200


def _there_and_back(event: str) -> tuple[str, str]:
    inner = [f"def inner_{n}():\n    value = {n}\n    event({n})\n    value = {n}\n    value = 0" for n in range(CALLS)]
    calls = [
        f"    inner_{n}()\n    value = {n}\n    far.inner_{n}()\n    value = {n}\n    value = 0" for n in range(CALLS)
    ]
    beside = "#\n" * FAR_FROM + "\n".join(inner)
    head = f"import contextvars, gc, playtrace_agent, far\ndef event(n):\n    {event}\ndef other():\n"
    head += "    with playtrace_agent.trace('q', 'r'):\n        outer() if __name__ == 'work' else None\n"
    return head + "\n".join([*inner, "def outer():", *calls, ""]), beside + "\n"


@pytest.mark.parametrize("granularity", ["profile", "request", "steps"])
@pytest.mark.parametrize("event", ["pass", *EVENTS.values()], ids=["nothing", *EVENTS])
def test_who_comes_back_from_a_call_loses_nothing(workspace: Workspace, event: str, granularity: str) -> None:
    # The other run goes through the same functions, once, in the middle of one of them.
    event = event.replace("other()", "other() if n == 3 and not seen.append(n) and len(seen) == 1 else None")
    work, far = _there_and_back(event)
    workspace.write("work.py", work.replace("far\n", "far; seen = []\n", 1))
    workspace.write("far.py", far)
    workspace.run(
        """
        import far, playtrace_agent, work
        far.event = work.event
        for run in ("r", "s", "t"):
            with playtrace_agent.trace("p", run):
                work.outer()
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    begin = 7 + 5 * CALLS
    expected = {
        "work.py": {line for line in range(7, begin + 1 + 5 * CALLS) if line > begin or (line - 7) % 5} | {3},
        "far.py": {FAR_FROM + 1 + 5 * n + line for n in range(CALLS) for line in range(1, 5)},
    }
    runs = [("p", "r"), ("p", "s"), ("p", "t"), *([("q", "r")] if "other" in event else [])]
    for slug, run in runs:
        told = workspace.look().ledger_lines(slug, run)
        mine: dict[str, set[int]] = {"work.py": set(), "far.py": set()}
        for context, files in told.items():
            if context != "import":
                for file, lines in files.items():
                    mine[file] |= set(lines)
        mine["work.py"] -= {5, 6}
        assert mine == expected, (slug, run)


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
