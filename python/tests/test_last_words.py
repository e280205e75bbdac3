"""Code that runs at the very end of something, or before anybody is told that it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge

if TYPE_CHECKING:
    from conftest import Workspace


def test_what_a_body_holds_ends_as_the_requests_work(workspace: Workspace) -> None:
    workspace.write("driver_client.py", CLIENT)
    workspace.write(
        "work.py",
        """
        def pieces():
            try:
                yield 1
                yield 2
            finally:
                clean_up()

        def clean_up():
            return 1

        def text(number):
            return b"%d" % number

        class Pieces:
            def __iter__(self):
                return self

            def __next__(self):
                return b"x"

            def __del__(self):
                clean_up()

        def app(environ, start_response):
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/map":
                return map(text, pieces())
            return Pieces()
        """,
    )
    outcome = workspace.run(
        """
        import work
        from driver_client import Client
        client = Client(work.app)
        for path, slug in ("/map", "p"), ("/own", "q"):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_X_PROFILE_TRACE": slug}
            body = client.app(environ, lambda *_: None)
            # The client went away: neither `map` nor the object has a `close`.
            print(next(iter(body)))
            body.close()
            body.close()
            print(list(body))
        """
    )
    assert outcome.out.splitlines() == ["b'1'", "[]", "b'x'", "[]"]
    assert outcome.wrote.lines("p", "work.py") == [2, 3, 6, 9, 12, 25, 26, 27]
    assert outcome.wrote.lines("q", "work.py") == [9, 16, 19, 22, 25, 26, 28]


@pytest.mark.parametrize("depth", range(4))
def test_code_that_runs_first_where_the_stack_ends_is_traced_later(workspace: Workspace, depth: int) -> None:
    workspace.write(
        "work.py",
        """
        def deeper(number):
            try:
                return next(iter(map(deeper, [number])))
            except RecursionError:
                return handler()

        def handler():
            value = 1
            return value
        """,
    )
    outcome = workspace.run(
        """
        import sys
        import playtrace_agent
        import work
        # The C stack ends first, which is counted from another depth each time.
        sys.setrecursionlimit(1_000_000)

        def within(depth):
            return work.deeper(0) if depth == 0 else list(map(within, [depth - 1]))[0]

        with playtrace_agent.trace("p", "r"):
            assert within(DEPTH) == 1
        with playtrace_agent.trace("q"):
            work.handler()
        """.replace("DEPTH", str(depth))
    )
    assert outcome.wrote.lines("q", "work.py") == [8, 9]
    there = outcome.wrote.lines("p", "work.py")
    judged = judge(workspace, None)
    if judged.status != "consistent":
        assert judged.names("data lost:", "at the end of the stack")
    else:
        # CPython 3.13 leaves more of it.
        assert set(there) >= {8, 9}


def test_what_can_not_be_listened_to_again_is_said(workspace: Workspace) -> None:
    workspace.write("work.py", "def plain():\n    return 1\n")
    outcome = workspace.run(
        """
        import sys
        listen, at_end = sys.monitoring.set_local_events, []

        def set_local_events(*args):
            if at_end:
                raise RecursionError
            return listen(*args)

        sys.monitoring.set_local_events = set_local_events
        import playtrace_agent
        import work
        with playtrace_agent.trace("p", "r"):
            for _ in range(100):
                work.plain()
        at_end.append(True)
        with playtrace_agent.trace("q", "r"):
            work.plain()
        """
    )
    assert outcome.wrote.lines("p", "work.py") == [2]
    assert outcome.wrote.lines("q", "work.py") == []
    assert judge(workspace, None, slug="p").status == "consistent"
    assert judge(workspace, None, slug="q").names("data lost:", "listened to again at the end of the stack")


def test_what_an_import_left_behind_is_the_imports(workspace: Workspace) -> None:
    workspace.write(
        "lazy.py",
        """
        import asyncio, contextvars
        loop = asyncio.new_event_loop()
        async def works():
            first = 1
            await asyncio.sleep(0)
            return first
        task = loop.create_task(works())
        context = contextvars.copy_context()
        def later():
            return 1
        """,
    )
    outcome = workspace.run(
        """
        import playtrace_agent
        with playtrace_agent.trace("p", "r"):
            import lazy
            lazy.loop.run_until_complete(lazy.task)
        lazy.context.run(lazy.later)
        del lazy.context, lazy.task
        lazy.loop.close()
        """
    )
    assert outcome.wrote.contexts()["import"]["lazy.py"] == [*range(1, 8), 8, 9, 10]
    assert judge(workspace, None).status == "consistent"


def test_an_import_that_leaves_nothing_is_over(workspace: Workspace) -> None:
    workspace.write("lazy.py", "def later():\n    return 1\nfor _ in range(3):\n    later()\n")
    outcome = workspace.run('import playtrace_agent\nwith playtrace_agent.trace("p", "r"):\n    import lazy\n')
    assert [record["kind"] for record in outcome.wrote.of_kind("p", "open", "r")] == ["block"]


def test_what_was_executed_before_a_fork_is_the_parents(workspace: Workspace) -> None:
    workspace.write("work.py", "def before():\n    return 1\n\n\ndef after():\n    return 2\n")
    outcome = workspace.run(
        """
        import os
        import playtrace_agent
        import work
        with playtrace_agent.trace("p", "r"):
            work.before()
            child = os.fork()
            work.after()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        print(child)
        """
    )
    assert outcome.wrote.lines("p", "work.py") == [2, 6]
    for shard in outcome.wrote.shards("p"):
        if f".{outcome.out.strip()}." not in shard.name:
            shard.unlink()
    assert outcome.wrote.lines("p", "work.py") == [6]


def test_hooks_of_a_fork_that_run_before_ours_count(workspace: Workspace) -> None:
    workspace.write(
        "work.py",
        """
        import os

        def hook():
            value = 1
            return helps(value)

        def helps(value):
            return value

        os.register_at_fork(after_in_child=hook)

        def forks():
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)
        """,
    )
    # The app, and its hook, are there before the agent begins.
    outcome = workspace.run('import work, playtrace_agent\nwith playtrace_agent.trace("p"):\n    work.forks()\n')
    assert outcome.wrote.lines("p", "work.py") == [4, 5, 8, 13, 14, 15, 16]


def test_handlers_of_the_end_that_were_there_before_the_agent_count(workspace: Workspace) -> None:
    workspace.write("work.py", "def late():\n    return 1\n\n\ndef later():\n    return 2\n")
    outcome = workspace.run(
        """
        import atexit

        @atexit.register
        def at_last():
            with playtrace_agent.trace("p"):
                work.late()
            with playtrace_agent.trace("q"):
                work.later()

        import playtrace_agent, work
        with playtrace_agent.trace("q"):
            pass
        """
    )
    assert outcome.err == ""
    assert outcome.wrote.lines("p", "work.py") == [2]
    assert outcome.wrote.lines("q", "work.py") == [6]
