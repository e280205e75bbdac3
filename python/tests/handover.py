"""Programs that hand traced work to other processes.

The lines that each profile must have are known in advance: each runs functions of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace
    from scenario import Outcome, Scenario

METHODS = ("fork", "spawn", "forkserver")

WORK = """
import os, signal, time

def one(n):
    return n + 1

def two(n):
    return n * 2

def three(n):
    return n - 3

def four(*n):
    return sum(n)

def fails(n):
    raise ValueError(f"no {n}")

def killed(n):
    os.kill(os.getpid(), signal.SIGKILL)

def waits(path):
    open(path, "w").close()
    while os.path.exists(path): time.sleep(0.01)
    found = 1
    return found

def prepare(n):
    os.environ["PREPARED"] = str(n)
"""
#: The line that is a function's body.
ONE, TWO, THREE, FOUR, FAILS, KILLED, PREPARE = 4, 7, 10, 13, 16, 19, 28


def drive(workspace: Workspace, body: str, *, method: str = "fork", check: bool = True) -> Outcome:
    """Run the body as the main function of a program."""
    workspace.write("work.py", WORK)
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return workspace.run(
        f"import multiprocessing, os, sys, time, work, playtrace_agent\n\n"
        f"METHOD = {method!r}\n\n"
        f"def main():\n    context = multiprocessing.get_context(METHOD)\n{indented}\n"
        'if __name__ == "__main__":\n    main()\n',
        check=check,
        # A fork beside threads is a DeprecationWarning.
        warnings="ignore" if method == "fork" else "error",
    )


def lines(wrote: Scenario) -> dict[str, list[int]]:
    """Return each profile's lines of work.py."""
    found = wrote.contexts()
    return {
        context.removeprefix("profile:"): files["work.py"]
        for context, files in found.items()
        if context.startswith("profile:") and "work.py" in files
    }


def unkept(wrote: Scenario, slug: str, run: str = "_") -> list[str]:
    """Return the promised children without a unit: the verdict names each as lost."""
    opened = {record.get("child") for record in wrote.of_kind(slug, "open", run)}
    return [record["command"] for record in wrote.of_kind(slug, "spawn", run) if record["child"] not in opened]


def whole(wrote: Scenario, slug: str, run: str = "_") -> bool:
    """Say whether the ledger proves that nothing of a run is missing."""
    return not (unkept(wrote, slug, run) or wrote.unclosed(slug, run) or wrote.of_kind(slug, "lost", run))
