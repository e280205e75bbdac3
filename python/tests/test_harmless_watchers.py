"""Debuggers, profilers, coverage.py and other tools of `sys.monitoring` see what they see without the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge, logged, statuses
from twice import lines, twice

if TYPE_CHECKING:
    from conftest import Workspace


def test_a_debugger_gets_every_line(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        seen = []

        def trace(frame, event, arg):
            if frame.f_code.co_filename.endswith("work.py"):
                seen.append((frame.f_lineno, event))
                return trace

        for n in range(200):  # beyond what the agent needs to silence a place
            with playtrace_agent.trace("p", str(n % 8)):
                work.plain(n)
        for n in range(3):
            with playtrace_agent.trace("p"):
                work.plain(n)
                sys.settrace(trace)
                work.plain(n)
                caught(work.fails)
                iterator = work.pieces()
                next(iterator)
                caught(iterator.throw, ValueError("thrown"))
                iterator = work.pieces()
                next(iterator)
                caught(iterator.close)
                assert sys.gettrace() is trace
                sys.settrace(None)
                assert sys.gettrace() is None
        print(seen)
        """,
        traced=[*lines("plain"), *lines("fails"), lines("pieces")[1], lines("pieces")[4]],
    )


def test_a_debugger_that_was_there_before(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        seen = []

        def trace(frame, event, arg):
            if frame.f_code.co_filename.endswith("work.py"):
                seen.append((frame.f_lineno, event))
                return trace

        sys.settrace(trace)
        threading.settrace(trace)
        for n in range(3):
            with playtrace_agent.trace("p"):
                work.plain(n)
                caught(work.fails)
                thread = threading.Thread(target=work.plain, args=(n,))
                thread.start()
                thread.join()
        sys.settrace(None)
        print(seen)
        """,
        traced=[*lines("plain"), *lines("fails")],
    )


def test_pdb_steps_as_ever(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        import pdb
        commands = io.StringIO("s\\ns\\ns\\ns\\nw\\nr\\nw\\nc\\n")
        said = io.StringIO()
        debugger = pdb.Pdb(stdin=commands, stdout=said, nosigint=True, readrc=False)
        with playtrace_agent.trace("p"):
            work.plain(1)
            caught(debugger.runcall, work.fails)
        print(said.getvalue())
        """,
        traced=lines("fails"),
    )


def test_a_profiler_gets_every_call(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        seen = []

        def profile(frame, event, arg):
            seen.append((frame.f_code.co_name, event, getattr(arg, "__name__", None) if event[0] == "c" else None))

        for n in range(3):
            with playtrace_agent.trace("p"):
                work.plain(n)
                sys.setprofile(profile)
                list(map(work.plain, range(3)))
                try:
                    work.fails()
                except KeyError:
                    pass
                assert sys.getprofile() is profile
                sys.setprofile(None)
        import cProfile, pstats
        with playtrace_agent.trace("p"):
            profiler = cProfile.Profile()
            profiler.runcall(work.plain, 1)
        print(sorted((key[2], value[:2]) for key, value in pstats.Stats(profiler).stats.items()))
        print(seen)
        """,
        traced=[*lines("plain"), *lines("fails")],
    )


COVERAGE = """
import coverage

def measured(cov):
    cov.stop()
    data = cov.get_data()
    return {os.path.basename(file): sorted(data.lines(file)) for file in sorted(data.measured_files())}

def start():
    cov = coverage.Coverage(data_file=None, include=["*/work.py"], config_file=False, messages=False)
    cov.start()
    return cov

whole = start()
for n in range(200):
    with playtrace_agent.trace("p", str(n % 8)):
        work.plain(n)
with playtrace_agent.trace("p"):
    work.plain(1)
    with ThreadPoolExecutor(1) as pool:
        print(type(pool.submit(work.fails).exception()))
print("around", measured(whole))
for n in range(3):
    with playtrace_agent.trace("p"):
        work.plain(n)
        inner = start()
        work.plain(n)
        if n == 1:
            try:
                work.fails()
            except KeyError:
                pass
        print("within", measured(inner), sys.gettrace())
"""


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_py_measures_the_same_beside_it(workspace: Workspace, core: str) -> None:
    outcome = twice(workspace, COVERAGE, env={"COVERAGE_CORE": core}, traced=[*lines("plain"), *lines("fails")])
    assert str(lines("fails")) not in outcome.out.splitlines()[-1]
    assert "'work.py'" in outcome.out


def test_another_tool_keeps_its_events_and_its_silence(workspace: Workspace) -> None:
    """Local events on the same code: what that tool silenced stays silent, what it did not is reported each time."""
    twice(
        workspace,
        """
        monitoring = sys.monitoring
        events = monitoring.events
        once, always = [], []
        monitoring.use_tool_id(0, "silences")
        monitoring.use_tool_id(2, "listens")
        monitoring.register_callback(
            0, events.LINE, lambda code, line: once.append((code.co_name, line)) or monitoring.DISABLE)
        for event in (events.LINE, events.PY_START, events.PY_RETURN, events.INSTRUCTION, events.CALL, events.BRANCH):
            monitoring.register_callback(
                2, event, lambda code, *more, event=event: always.append((event, code.co_name, more[0])))
        for function in (work.plain, work.fails, work.pieces):
            monitoring.set_local_events(0, function.__code__, events.LINE)
            monitoring.set_local_events(
                2, function.__code__, events.LINE | events.PY_START | events.PY_RETURN | events.INSTRUCTION)

        def go(times):
            for n in range(times):
                with playtrace_agent.trace("p", str(n)):
                    work.plain(n)
                    try:
                        work.fails()
                    except KeyError:
                        pass
            print(once, len(always), hash(tuple(map(str, always))) if times > 5 else always)
            once.clear()
            always.clear()

        go(100)
        monitoring.restart_events()
        go(3)
        monitoring.set_local_events(2, work.plain.__code__, 0)
        go(3)
        print([monitoring.get_local_events(tool, code) for tool in (0, 2)
               for code in (work.plain.__code__, work.fails.__code__)])
        print(monitoring.get_events(0), monitoring.get_events(2), monitoring.get_tool(0), monitoring.get_tool(2))
        with playtrace_agent.trace("p"):
            work.plain(1)
            caught(work.fails)
        """,
        traced=[*lines("plain"), *lines("fails")],
    )


def test_a_tool_that_listens_everywhere(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        monitoring = sys.monitoring
        events = monitoring.events
        seen = []
        monitoring.use_tool_id(5, "everything")
        wanted = 0
        for name in ("PY_START", "PY_RETURN", "PY_YIELD", "PY_RESUME", "PY_UNWIND", "PY_THROW", "RAISE", "LINE", "JUMP",
                     "CALL", "INSTRUCTION", "BRANCH", "STOP_ITERATION", "EXCEPTION_HANDLED"):
            def note(code, *more, name=name):
                if code.co_filename.endswith("work.py"):
                    seen.append((name, code.co_name, more[0]))
            monitoring.register_callback(5, getattr(events, name), note)
            wanted |= getattr(events, name)
        monitoring.set_events(5, wanted)
        for n in range(3):
            with playtrace_agent.trace("p"):
                work.plain(n)
                iterator = work.pieces()
                next(iterator)
                try:
                    iterator.throw(ValueError)
                except KeyError:
                    pass
        monitoring.set_events(5, 0)
        print(seen)
        """,
        traced=[*lines("plain"), lines("fails")[0], lines("pieces")[4]],
    )


def test_events_that_are_restarted_all_the_time(workspace: Workspace) -> None:
    outcome = twice(
        workspace,
        """
        for n in range(2000):
            sys.monitoring.restart_events()
            with playtrace_agent.trace("p", str(n % 3)):
                work.plain(n)
                sys.monitoring.restart_events()
        with playtrace_agent.trace("p"):
            work.plain(1)
            sys.monitoring.restart_events()
            caught(work.fails)
        """,
        traced=[*lines("plain"), *lines("fails")],
    )
    for run in "012":
        assert outcome.wrote.ledger_lines("p", run) == {"profile:p": {"work.py": lines("plain")}}


@pytest.mark.parametrize("taken", [(0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 5)], ids=str)
def test_too_few_tools_are_free(workspace: Workspace, taken: tuple[int, ...]) -> None:
    workspace.write("driver_client.py", CLIENT)
    workspace.write(
        "work.py", "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"
    )
    outcome = workspace.run(
        f"""
        import sys
        import work
        from driver_client import Client
        for number in {taken!r}:
            sys.monitoring.use_tool_id(number, f"other {{number}}")
        client = Client(work.app)
        for _ in range(3):
            assert client.get() == b"x"
        assert [sys.monitoring.get_tool(number) for number in {taken!r}] == [f"other {{n}}" for n in {taken!r}]
        client.done()
        """
    )
    answers = statuses(outcome)
    assert len(logged(outcome)) == 1
    for said in (*map(str, answers), logged(outcome)[0]):
        assert "sys.monitoring has fewer than two free tools" in said
    judged = judge(workspace, answers)
    assert judged.status == "partial"
    for step in (1, 2, 3):
        assert judged.names(f"not traced: step {step} ", "off; ", "fewer than two free tools"), judged.reasons


def test_two_free_tools_are_enough(workspace: Workspace) -> None:
    """Whichever they are, but for the debugger's."""
    workspace.write("work.py", "def f():\n    return 1\n")
    outcome = workspace.run(
        """
        import sys, work, playtrace_agent
        for number in (0, 3, 4, 2):
            sys.monitoring.use_tool_id(number, "other")
        with playtrace_agent.trace("p"):
            work.f()
        assert [sys.monitoring.get_tool(number) for number in (0, 3, 4, 2)] == ["other"] * 4
        """
    )
    assert outcome.wrote.lines("p", "work.py") == [2]
