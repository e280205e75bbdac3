"""Code that traced work runs in a context that knows nothing of it: whose it is can't be told, and that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge, statuses

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
    import contextvars


    def inner():
        return b"inner"


    def other():
        return b"other"
"""
DRIVER = """
    import contextvars, work
    from driver_client import Client

    def app(environ, start_response):
        start_response("200 OK", [])
        path = environ["PATH_INFO"]
        if path == "/empty":
            return [contextvars.Context().run(work.inner)]
        if path == "/copied":
            return [contextvars.copy_context().run(work.inner)]
        return [work.inner()]

    client = Client(app)
    for path in PATHS:
        client.get(path)
    client.done()
"""


def _run(workspace: Workspace, paths: list[str], granularity: str = "steps") -> tuple[list[str | None], list[int]]:
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    outcome = workspace.run(DRIVER.replace("PATHS", repr(paths)), env={"PROFILE_COVERAGE_GRANULARITY": granularity})
    found = workspace.look().ledger_lines("p", "r").get("profile:p", {})
    return statuses(outcome), found.get("work.py", [])


@pytest.mark.parametrize("granularity", ["profile", "steps", "request", "symbol"])
def test_code_in_an_empty_context_is_named(workspace: Workspace, granularity: str) -> None:
    answers, _ = _run(workspace, ["/empty", "/empty"], granularity)
    judged = judge(workspace, answers)
    assert judged.status == "partial"
    assert judged.names("code ran in a context that knows no profile")
    assert len([reason for reason in judged.reasons if "knows no profile" in reason]) == 1


def test_code_in_a_copied_context_is_traced(workspace: Workspace) -> None:
    answers, lines = _run(workspace, ["/copied"])
    assert lines == [5]
    assert judge(workspace, answers).status == "complete"


def test_nothing_is_lost_where_the_lines_are_there_already(workspace: Workspace) -> None:
    answers, lines = _run(workspace, ["/plain", "/empty"])
    assert lines == [5]
    assert judge(workspace, answers).status == "complete"


def test_untraced_work_in_an_empty_context_is_nobodys(workspace: Workspace) -> None:
    """Other threads' contexts may be empty, too: that is how a thread begins."""
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import contextvars, threading, work
        from driver_client import Client

        asked, done = threading.Event(), threading.Event()

        def beside():
            asked.wait()
            contextvars.Context().run(work.other)
            done.set()

        thread = threading.Thread(target=beside)
        thread.start()

        def app(environ, start_response):
            start_response("200 OK", [])
            asked.set()
            done.wait()
            return [work.inner()]

        client = Client(app)
        client.get()
        thread.join()
        client.done()
        """
    )
    assert judge(workspace, statuses(outcome)).status == "complete"
    assert workspace.look().ledger_lines("p", "r")["profile:p"]["work.py"] == [5]


def test_a_block_in_an_empty_context_leaves_it_empty(workspace: Workspace) -> None:
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import contextvars, playtrace_agent, work
        from driver_client import Client

        def driven():
            with playtrace_agent.trace("q", "r"):
                pass
            work.inner()

        def app(environ, start_response):
            start_response("200 OK", [])
            contextvars.Context().run(driven)
            return [b""]

        Client(app).get()
        """
    )
    assert judge(workspace, None).names("code ran in a context that knows no profile")


@pytest.mark.parametrize("what", ["to_thread(work.inner)", "sleep(0)"])
def test_other_tasks_beside_a_block_are_nobodys(workspace: Workspace, what: str) -> None:
    """A block in a task says nothing of its thread, also after it has handed work to a pool."""
    workspace.write("work.py", WORK)
    workspace.run(
        f"""
        import asyncio, playtrace_agent, work

        async def traced(entered, done):
            with playtrace_agent.trace("p", "r"):
                work.inner()
                await asyncio.{what}
                entered.set()
                await done.wait()

        async def beside(entered, done):
            await entered.wait()
            work.other()
            done.set()

        async def both():
            events = asyncio.Event(), asyncio.Event()
            await asyncio.gather(traced(*events), beside(*events))

        asyncio.run(both())
        """
    )
    judged = judge(workspace, None)
    assert judged.status == "consistent", judged.reasons
    assert workspace.look().ledger_lines("p", "r")["profile:p"]["work.py"] == [5]
