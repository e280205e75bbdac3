"""Runs the same program with the agent and without it: nothing that the program can see may differ."""

from __future__ import annotations

import difflib
import re
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Workspace
    from scenario import Outcome

#: What the programs do their work with. `work.py` of the app.
WORK = """
import traceback


def plain(x):
    return x


def fails(n=2):
    if n:
        return fails(n - 1)
    raise KeyError("deep")


def pieces():
    try:
        yield 1
        yield 2
    finally:
        fails(0)


async def waits():
    return fails()


def depth(n=0):
    try:
        return depth(n + 1)
    except RecursionError:
        return n


def stack():
    return [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.name}" for frame in traceback.extract_stack()]
"""

#: What every program begins with.
BEGIN = """
import atexit, contextvars, faulthandler, gc, inspect, io, os, pickle, signal, subprocess, sys
import threading, time, traceback, warnings, weakref
from concurrent.futures import ThreadPoolExecutor
import playtrace_agent, work


def frames(error):
    return [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno}:{frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)]


def caught(work, *args, **options):
    try:
        work(*args, **options)
    except BaseException as error:
        print(type(error).__name__, error, frames(error))
    else:
        print("nothing was raised")
"""
#: A frame of the agent in what `frames` or `work.stack` printed.
OURS = re.compile(r"(?:, )?'playtrace_agent/\w+\.py:[^']*'")


def twice(
    workspace: Workspace,
    program: str,
    *,
    env: Mapping[str, str | None] | None = None,
    code: int = 0,
    but: re.Pattern[str] | None = None,
    traced: list[int] | None = None,
) -> Outcome:
    """Run a program with the agent off, then on; compare all it said and its exit code, and return the second run.

    Args:
        workspace: Where it runs; `WORK` is there.
        program: What follows `BEGIN`. Its traced work belongs to the profile `p`.
        env: Changes of the environment, for both runs.
        code: Its exit code.
        but: What may differ, wherever it stands.
        traced: Lines of `work.py` that the second run has to have recorded: else the comparison shows nothing.
    """
    workspace.write("work.py", WORK)
    driver = BEGIN + textwrap.dedent(program)
    # Sets print in the same order in both runs.
    env = {"PYTHONHASHSEED": "1", **(env or {})}
    off = workspace.run(driver, env={**env, "ENABLE_PROFILE_COVERAGE": None}, check=False)
    assert off.code == code, f"the program is wrong:\n{off.out}\n{off.err}"
    assert not workspace.data.exists(), "the agent wrote something while it was off"
    on = workspace.run(driver, env=env, check=False)
    without, with_it = _said(off, but), _said(on, but)
    if without != with_it:
        pytest.fail("\n".join(difflib.unified_diff(without, with_it, "off", "on", lineterm="", n=1)))
    recorded = on.wrote.lines("p", "work.py")
    assert set(traced or [lines("plain")[0]]) <= set(recorded), f"not all was traced: {recorded}"
    return on


def lines(function: str) -> list[int]:
    """Return the numbers of the lines of a function of `work.py`, its `def` left out."""
    text = WORK.lstrip("\n").splitlines()
    first = next(n for n, line in enumerate(text) if line.removeprefix("async ").startswith(f"def {function}("))
    numbers = []
    for number, line in enumerate(text[first + 1 :], first + 2):
        if line and not line.startswith(" "):
            break
        if line:
            numbers.append(number)
    return numbers


def _said(outcome: Outcome, but: re.Pattern[str] | None) -> list[str]:
    text = f"exit code {outcome.code}\n{outcome.out}\nstderr:\n{outcome.err}"
    return (but.sub("", text) if but else text).splitlines()
