"""What each granularity records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from coverage.numbits import numbits_to_nums

if TYPE_CHECKING:
    from conftest import Workspace
    from scenario import Scenario

APP = """
    import threading


    def shared(value):
        if value:
            return helper(value)
        return None


    def helper(value):
        return value + 1


    def other():
        done = threading.Thread(target=threaded)
        done.start()
        done.join()


    def threaded():
        return [hot(n) for n in range(2000)]


    def hot(n):
        return n
"""
SHARED, HELPER, OTHER, THREADED, HOT = 4, 10, 14, 20, 24

DRIVER = """
    import flow
    from playtrace_agent.wsgi import TraceMiddleware


    def app(environ, start_response):
        start_response("200 OK", [])
        path = environ["PATH_INFO"]
        if path == "/none":
            flow.shared(0)
        if path == "/value":
            flow.shared(1)
        if path == "/other":
            flow.other()
        return []


    traced = TraceMiddleware(app)


    def get(path, step=None):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_X_PROFILE_TRACE": "p"}
        environ["HTTP_X_PROFILE_TRACE_RUN"] = "r"
        if step is not None:
            environ["HTTP_X_PROFILE_TRACE_STEP"] = str(step)
        traced(environ, lambda *args: None)


    for again in range(3):
        get("/none", 3 * again + 1)
        get("/value", 3 * again + 2)
        get("/other", 3 * again + 3)
"""


@pytest.fixture
def flow(workspace: Workspace) -> Workspace:
    workspace.write("flow.py", APP)
    return workspace


def entered(wrote: Scenario) -> dict[str, set[int]]:
    """Return the first lines of the functions that each scope entered."""
    found: dict[str, set[int]] = {}
    for record in wrote.of_kind("p", "closed", "r"):
        for scope, files in record.get("entered", {}).items():
            assert list(files) == ["flow.py"]
            found.setdefault(scope, set()).update(numbits_to_nums(bytes.fromhex(files["flow.py"])))
    return found


def test_steps_tell_lines_by_profile_and_functions_by_step(flow: Workspace) -> None:
    outcome = flow.run(DRIVER, env={"PROFILE_COVERAGE_GRANULARITY": "steps"})
    contexts = outcome.wrote.contexts()
    assert {"profile:p"} == {context for context in contexts if context != "import"}
    assert contexts["profile:p"]["flow.py"] == [5, 6, 7, 11, 15, 16, 17, 21, 25]
    steps = entered(outcome.wrote)
    for again in range(3):
        assert steps[str(3 * again + 1)] == {SHARED}
        assert steps[str(3 * again + 2)] == {SHARED, HELPER}
        # The thread belongs to the request that started it.
        assert steps[str(3 * again + 3)] == {OTHER, THREADED, HOT}
    assert not outcome.wrote.unclosed("p", "r")


def test_steps_are_the_default(flow: Workspace) -> None:
    outcome = flow.run(DRIVER)
    assert entered(outcome.wrote)["2"] == {SHARED, HELPER}


def test_requests_have_contexts_of_their_own(flow: Workspace) -> None:
    outcome = flow.run(DRIVER, env={"PROFILE_COVERAGE_GRANULARITY": "request"})
    contexts = outcome.wrote.contexts()
    for again in range(3):
        assert contexts[f"profile:p:{3 * again + 1}"] == {"flow.py": [5, 7]}
        assert contexts[f"profile:p:{3 * again + 2}"] == {"flow.py": [5, 6, 11]}
        assert contexts[f"profile:p:{3 * again + 3}"] == {"flow.py": [15, 16, 17, 21, 25]}
    assert "profile:p" not in contexts


def test_requests_without_a_step_are_told_apart(flow: Workspace) -> None:
    driver = DRIVER + '\n    get("/none")\n    get("/value")\n'
    outcome = flow.run(driver, env={"PROFILE_COVERAGE_GRANULARITY": "request"})
    unnumbered = [files for context, files in outcome.wrote.contexts().items() if context.count("-") == 1]
    assert sorted(files["flow.py"] for files in unnumbered) == [[5, 6, 11], [5, 7]]


def test_symbols_are_the_first_lines_of_what_was_entered(flow: Workspace) -> None:
    outcome = flow.run(DRIVER, env={"PROFILE_COVERAGE_GRANULARITY": "symbol"})
    assert outcome.wrote.contexts()["profile:p"]["flow.py"] == [SHARED, HELPER, OTHER, THREADED, HOT]


def test_profiles_alone(flow: Workspace) -> None:
    outcome = flow.run(DRIVER, env={"PROFILE_COVERAGE_GRANULARITY": "profile"})
    assert not entered(outcome.wrote)
    assert outcome.wrote.contexts()["profile:p"]["flow.py"] == [5, 6, 7, 11, 15, 16, 17, 21, 25]


@pytest.mark.parametrize("granularity", ["steps", "request"])
def test_a_child_process_belongs_to_the_step_that_started_it(workspace: Workspace, granularity: str) -> None:
    workspace.write("kid.py", "def kid():\n    return 1\n\n\nkid()\n")
    workspace.write("forked.py", "def forked():\n    return 2\n")
    outcome = workspace.run(
        """
        import os, subprocess, sys, forked
        from playtrace_agent.wsgi import TraceMiddleware


        def app(environ, start_response):
            start_response("200 OK", [])
            subprocess.run([sys.executable, "kid.py"], check=True)
            pid = os.fork()
            if pid == 0:
                forked.forked()
                os._exit(0)
            os.waitpid(pid, 0)
            return []


        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": "p"}
        environ |= {"HTTP_X_PROFILE_TRACE_RUN": "r", "HTTP_X_PROFILE_TRACE_STEP": "7"}
        TraceMiddleware(app)(environ, lambda *args: None)
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
        warnings="ignore",
    )
    if granularity == "request":
        assert outcome.wrote.contexts()["profile:p:7"] == {"kid.py": [1, 2, 5], "forked.py": [2]}
    else:
        found = [record["entered"] for record in outcome.wrote.of_kind("p", "closed", "r") if "entered" in record]
        files = {file for record in found for file in record.get("7", {})}
        assert files == {"kid.py", "forked.py"}
        assert all(list(record) == ["7"] for record in found)
    assert not outcome.wrote.unclosed("p", "r")


@pytest.mark.parametrize("granularity", ["steps", "request"])
def test_more_requests_at_once_than_slots(workspace: Workspace, granularity: str) -> None:
    workspace.write("part.py", PARTS)
    outcome = workspace.run(
        """
        import threading, part
        from playtrace_agent.wsgi import TraceMiddleware

        everyone = threading.Barrier(100)


        def app(environ, start_response):
            start_response("200 OK", [])
            everyone.wait()
            part.part(int(environ["HTTP_X_PROFILE_TRACE_STEP"]))
            everyone.wait()
            return []


        traced = TraceMiddleware(app)


        def get(step):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": "p"}
            environ |= {"HTTP_X_PROFILE_TRACE_RUN": "r", "HTTP_X_PROFILE_TRACE_STEP": str(step)}
            traced(environ, lambda *args: None)


        threads = [threading.Thread(target=get, args=(step,)) for step in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    contexts, closed = outcome.wrote.contexts(), outcome.wrote.of_kind("p", "closed", "r")
    for step in range(100):
        odd = bool(step % 2)
        if granularity == "request":
            assert contexts[f"profile:p:{step}"] == {"part.py": [2, 3, 8] if odd else [2, 4, 12]}
        else:
            expected = {1, 7} if odd else {1, 11}
            found = [record.get("entered", {}).get(str(step)) for record in closed]
            lines = {line for files in found if files for line in numbits_to_nums(bytes.fromhex(files["part.py"]))}
            assert lines == expected


PARTS = """
    def part(n):
        if n % 2:
            return odd()
        return even()


    def odd():
        return 1


    def even():
        return 2
"""
