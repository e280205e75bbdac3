"""What a child process runs of the app before it becomes another program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import judge
from twice import OURS, twice

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.Popen(['cat'], stdin=subprocess.PIPE, preexec_fn=work.prepare)",
        "subprocess.Popen(['cat'], -1, None, subprocess.PIPE, None, None, work.prepare)",
    ],
)
def test_what_a_preexec_fn_executed_is_recorded(workspace: Workspace, call: str) -> None:
    workspace.write("work.py", "def prepare():\n    return 1\n")
    workspace.run(
        f"""
        import subprocess, playtrace_agent, work
        with playtrace_agent.trace("p", "r"):
            process = {call}
        process.communicate(b"")
        """
    )
    assert workspace.look().lines("p", "work.py") == [2]
    judged = judge(workspace, None)
    assert judged.status == "consistent", judged.reasons


def test_a_preexec_fn_is_called_as_without_us(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        def fails():
            work.fails()

        def ends():
            work.plain(1)
            os._exit(3)

        for prepare in (fails, ends, 5, lambda: work.plain(1)):
            with playtrace_agent.trace("p", "r"):
                caught(lambda: print(subprocess.run(["true"], preexec_fn=prepare).returncode))
        """,
        but=OURS,
    )
