"""Work that goes on after the request or block that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import coverage
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

TASKS = """
    import asyncio, threading


    def late():
        return "late"


    async def task(go, done):
        await asyncio.to_thread(go.wait)
        late()
        done.set()


    class Background:
        def __init__(self):
            self.loop = asyncio.new_event_loop()
            threading.Thread(target=self.loop.run_forever, daemon=True).start()

        def submit(self, go, done):
            asyncio.run_coroutine_threadsafe(task(go, done), self.loop)

        def close(self):
            self.loop.call_soon_threadsafe(self.loop.stop)
"""
LATE = 5


def test_a_task_that_outlives_its_request_keeps_the_request_open(workspace: Workspace) -> None:
    workspace.write("tasks.py", TASKS)
    outcome = workspace.run(
        """
        import glob, gc, os, threading, time, tasks, playtrace_agent

        background = tasks.Background()
        go, done = threading.Event(), threading.Event()
        with playtrace_agent.trace("p", "r"):
            background.submit(go, done)


        def ledger():
            [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/p/r/*.ledger")
            return open(path).read()


        assert '"t":"left"' in ledger()
        assert '"t":"closed","unit":"1"' not in ledger().replace(" ", "")
        # Long enough that a run without work would be let to rest.
        end = time.monotonic() + 6
        while time.monotonic() < end:
            with playtrace_agent.trace("other"):
                time.sleep(0.05)
        go.set()
        done.wait()
        end = time.monotonic() + 30
        while '"t":"closed","unit":"1"' not in ledger():
            assert time.monotonic() < end, ledger()
            gc.collect()
            time.sleep(0.01)
        background.close()
        """
    )
    assert LATE in outcome.wrote.lines("p", "tasks.py")
    assert not outcome.wrote.unclosed("p", "r")


def test_a_stored_context_keeps_its_request_open_to_the_end_of_the_process(workspace: Workspace) -> None:
    workspace.write("kept.py", "def later():\n    return 1\n")
    outcome = workspace.run(
        """
        import contextvars, kept, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            stored = contextvars.copy_context()
        stored.run(kept.later)
        """
    )
    assert outcome.wrote.lines("p", "kept.py") == [2]
    [record] = outcome.wrote.of_kind("p", "left", "r")
    assert record["unit"] == "1"
    # The end of the process is the end of what was left.
    assert not outcome.wrote.unclosed("p", "r")


def test_tasks_that_are_done_leave_nothing(workspace: Workspace) -> None:
    workspace.write("tasks.py", TASKS)
    outcome = workspace.run(
        """
        import asyncio, playtrace_agent


        async def many():
            async def one(n):
                await asyncio.sleep(0)
                if n % 2:
                    raise ValueError(n)

            await asyncio.gather(*(one(n) for n in range(50)), return_exceptions=True)


        for n in range(5):
            with playtrace_agent.trace("p", "r"):
                asyncio.run(many())
        """
    )
    assert not outcome.wrote.of_kind("p", "left", "r")
    assert len(outcome.wrote.of_kind("p", "closed", "r")) >= 5


def test_lines_before_a_kill_are_in_the_memory_map(workspace: Workspace) -> None:
    body = "\n".join(f"    x = {n}" for n in range(3000))
    workspace.write(
        "long.py", f"import os, signal\n\n\ndef long():\n{body}\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    outcome = workspace.run(
        """
        import long, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            long.long()
        """,
        check=False,
    )
    assert outcome.code == -9
    assert not outcome.wrote.shards("p")
    [path] = (workspace.data / ".playtrace" / "p" / "r").glob("*.lines")
    raw = path.read_bytes()
    assert raw[:8] == b"PTLINES1"
    used = int.from_bytes(raw[8:16], "little")
    words = [int.from_bytes(raw[at : at + 8], "little") for at in range(16, 16 + used, 8)]
    # Two definitions, then a word a line; a definition's text lies in words of its own, which no line looks like.
    lines = {word >> 44 for word in words if word & 3 == 1 and word >> 44}
    assert set(range(5, 3006)) <= lines


def test_a_line_number_that_does_not_fit_costs_no_other_line(workspace: Workspace) -> None:
    """Code made from a syntax tree may have any line numbers; the memory map has room for a million."""
    workspace.write(
        "cut.py", "import os, signal\n\n\ndef cut():\n    x = 1\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    outcome = workspace.run(
        """
        import ast, cut, playtrace_agent
        from pathlib import Path

        def far(line):
            tree = ast.parse("def far():\\n    return 1")
            ast.increment_lineno(tree, line)
            space = {}
            exec(compile(tree, str(Path(__file__).parent / "far.py"), "exec"), space)
            space["far"]()

        with playtrace_agent.trace("p", "r"):
            far(2_000_000)
            cut.cut()
        """,
        check=False,
    )
    assert outcome.code == -9
    judge(workspace, None)
    data = coverage.CoverageData(str(workspace.data / "p.coverage"))
    data.read()
    assert sorted(data.lines("cut.py") or []) == [5, 6]
    data.close(force=True)
