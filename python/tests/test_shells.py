"""Shells that empty the environment: a Python that they start can't know whose it is, and the verdict says so."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

PYTHON = shlex.quote(sys.executable)
#: Commands for a shell.
EMPTYING = [
    f"env -i {PYTHON} tool.py",
    f"exec env - {PYTHON} tool.py",
    f"cd . && A=1 env -i PATH=$PATH LANG=C {PYTHON} tool.py > /dev/null",
    f"true; sh -c 'env -i {PYTHON} tool.py'",
    f"env -i sh -ec '{PYTHON} tool.py'",
    f"x=$(env --ignore-environment {PYTHON} tool.py)",
    f"# it isn't one\nenv -u HOME -i \\\n {PYTHON} tool.py",
]
LEAVING = [
    f"{PYTHON} tool.py",
    f"env -u HOME A=1 {PYTHON} tool.py || exit 1",
    f"env A=1 sh -c '{PYTHON} tool.py'",
    f"env -i true; echo env -i; {PYTHON} tool.py",
    "echo 'unbalanced",
]
TOOL = "print(1)\n"


@pytest.mark.parametrize(
    "start", ["subprocess.run({!r}, shell=True)", "os.system({!r})", 'subprocess.run(["sh", "-c", {!r}])']
)
def test_a_python_with_an_emptied_environment_is_named(workspace: Workspace, start: str) -> None:
    workspace.write("tool.py", TOOL)
    blocks = "".join(
        f"with playtrace_agent.trace('p{n}', 'r'):\n    {start.format(command)}\n"
        for n, command in enumerate((*EMPTYING, *LEAVING))
    )
    wrote = workspace.run(f"import os, subprocess, playtrace_agent\n{blocks}", warnings="ignore").wrote
    # Before they are merged.
    lines = [wrote.lines(f"p{n}", "tool.py") for n in range(len(EMPTYING) + len(LEAVING))]
    assert lines == [[] for _ in EMPTYING] + [[1] if "tool.py" in command else [] for command in LEAVING]
    for n, command in enumerate(EMPTYING):
        judged = judge(workspace, None, slug=f"p{n}")
        assert judged.status == "partial", command
        assert judged.names("a Python that a command starts with an emptied environment (`"), (command, judged)
    for n, command in enumerate(LEAVING, len(EMPTYING)):
        judged = judge(workspace, None, slug=f"p{n}")
        assert (judged.status, judged.reasons) == ("consistent", []), command


def test_a_program_that_env_starts_in_an_empty_environment_is_named(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    workspace.run(
        f"""
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            subprocess.run(["env", "-i", "sh", "-c", "{sys.executable} tool.py"], check=True)
        with playtrace_agent.trace("q", "r"):
            subprocess.run(["env", "-i", sys.executable, "tool.py"], check=True)
        """
    )
    assert judge(workspace, None).names("a Python that a command starts with an emptied environment (`")
    named = judge(workspace, None, slug="q")
    assert named.names("the Python child `env -i")
    assert len(named.reasons) == 1


def test_what_a_script_does_to_the_environment_is_a_note(workspace: Workspace) -> None:
    """Nobody but the script knows: so the verdict of a run that starts programs says what may be lost in them."""
    workspace.write("tool.py", TOOL)
    workspace.write("build.sh", f"env -i {PYTHON} tool.py\n")
    workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            subprocess.run(["sh", "build.sh"], check=True)
            subprocess.run(["true"], check=True)
        with playtrace_agent.trace("q", "r"):
            subprocess.run([sys.executable, "tool.py"], check=True)
        """
    )
    judged = judge(workspace, None)
    assert judged.status == "consistent"
    [note] = judged.notes
    assert note.startswith("2 programs that are not Python were started (`sh build.sh`, for one)"), note
    assert "unless its environment was emptied" in note
    assert judge(workspace, None, slug="q").notes == []
