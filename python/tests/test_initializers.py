"""Initializers of workers that a pool makes when it has begun to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from handover import METHODS, drive, unkept, whole

if TYPE_CHECKING:
    from conftest import Workspace
    from scenario import Scenario

#: Each worker's initializer takes the next number, and runs a function of that number.
STARTS = """
import os, time

def start(directory):
    number = 0
    while True:
        try:
            os.mkdir(f"{directory}/{number}")
            break
        except FileExistsError:
            number += 1
    globals()[f"start{number}"]()

def start0():
    return 0

def start1():
    return 1

def start2():
    return 2

def start3():
    return 3

def start4():
    return 4

def one(n):
    return os.getpid()

def fails():
    open(f"failed-{os.getpid()}", "w").close()
    raise LookupError("not now")

def crosses(barrier):
    barrier.wait()

def waits():
    while not os.path.exists("go"):
        time.sleep(0.001)
    return os.getpid()
"""
LINES = STARTS.lstrip("\n").splitlines()
FUNCTIONS = [LINES.index(f"    return {n}") + 1 for n in range(5)]
ONE = LINES.index("    return os.getpid()") + 1
FAILS = LINES.index('    raise LookupError("not now")') + 1


def started(wrote: Scenario) -> dict[str, set[int]]:
    """Return which initializers each profile ran, by number."""
    found = {}
    for context, files in wrote.contexts().items():
        slug = context.removeprefix("profile:")
        if context != slug and "starts.py" in files:
            found[slug] = {n for n, line in enumerate(FUNCTIONS) if line in files["starts.py"]}
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_replaces_its_workers(workspace: Workspace, method: str) -> None:
    """The initializer belongs to the work that waits for the pool when it makes the worker."""
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import starts
os.mkdir("n")
pool = context.Pool(1, starts.start, ("n",), maxtasksperchild=1)
with playtrace_agent.trace("p"):
    assert len(set(pool.map(starts.one, range(3), chunksize=1))) == 3
# The fourth worker: nobody needs it.
while not os.path.exists("n/3"):
    pass
pool.close()
pool.join()
""",
        method=method,
    )
    found = started(outcome.wrote)["p"]
    # It may see the end of the third before its result.
    assert {1, 2} <= found <= {1, 2, 3}
    assert ONE in outcome.wrote.lines("p", "starts.py")
    assert whole(outcome.wrote, "p")
    assert outcome.err == ""


def test_a_pool_works_for_several(workspace: Workspace) -> None:
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import starts
os.mkdir("n")
with playtrace_agent.trace("made"):
    pool = context.Pool(1, starts.start, ("n",), maxtasksperchild=1)
    first = pool.apply_async(starts.waits)
    with playtrace_agent.trace("second"):
        second = pool.apply_async(starts.one, (1,))
with playtrace_agent.trace("third"):
    third = pool.apply_async(starts.one, (1,))
open("go", "w").close()
first.get(), second.get(), third.get()
while not os.path.exists("n/3"):
    pass
pool.close()
pool.join()
""",
    )
    found = started(outcome.wrote)
    assert 0 in found["made"]
    # Whose turn it is depends on whether the pool sees a worker's end before its last result.
    assert sorted(number for numbers in found.values() for number in numbers)[:3] == [0, 1, 2]
    for slug in found:
        assert whole(outcome.wrote, slug), slug


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_executor_replaces_its_workers(workspace: Workspace, method: str) -> None:
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import starts
from concurrent.futures import ProcessPoolExecutor
os.mkdir("n")
with ProcessPoolExecutor(1, context, starts.start, ("n",), max_tasks_per_child=1) as pool:
    plain = pool.submit(starts.waits)
    with playtrace_agent.trace("p"):
        futures = [pool.submit(starts.one, n) for n in range(2)]
    with playtrace_agent.trace("q"):
        futures.append(pool.submit(starts.one, 1))
    open("go", "w").close()
    assert len({future.result() for future in [plain, *futures]}) == 4
""",
        method=method,
    )
    assert started(outcome.wrote) == {"p": {1, 2}, "q": {3}}
    for slug in started(outcome.wrote):
        assert whole(outcome.wrote, slug), slug
    assert outcome.err == ""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_executor_makes_a_worker_late(workspace: Workspace, method: str) -> None:
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import starts
from concurrent.futures import ProcessPoolExecutor
os.mkdir("n")
with context.Manager() as manager:
    barrier = manager.Barrier(2)
    with ProcessPoolExecutor(2, context, starts.start, ("n",)) as pool:
        waiting = pool.submit(starts.crosses, barrier)
        while not os.path.exists("n/0"):
            pass
        with playtrace_agent.trace("p"):
            pool.submit(starts.crosses, barrier).result()
        waiting.result()
""",
        method=method,
    )
    assert started(outcome.wrote) == {"p": {1}}
    assert whole(outcome.wrote, "p")


def test_an_initializer_that_fails_costs_no_more_records_than_calls(workspace: Workspace) -> None:
    """`Pool` makes new workers for ever then."""
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import glob, starts
# Not while the pool forks without end: a child that is forked in the middle of an import may never come out of it.
with playtrace_agent.trace("on"):
    pass
pool = context.Pool(1, starts.fails)
with playtrace_agent.trace("p"):
    for _ in range(3):
        pool.apply_async(starts.one, (1,))
    seen = len(glob.glob("failed-*"))
    while len(glob.glob("failed-*")) < seen + 6:
        pass
    pool.terminate()
    pool.join()
""",
    )
    assert outcome.wrote.lines("p", "starts.py") == [FAILS - 1, FAILS]
    initializers = [r for r in outcome.wrote.of_kind("p", "spawn") if "initializer" in r["command"]]
    assert len(initializers) == 3
    assert unkept(outcome.wrote, "p") == []


def test_threads_of_pools(workspace: Workspace) -> None:
    workspace.write("starts.py", STARTS)
    outcome = drive(
        workspace,
        """
import starts, threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
for directory in "ab":
    os.mkdir(directory)
with ThreadPoolExecutor(3, initializer=starts.start, initargs=("a",)) as pool:
    barriers = [threading.Barrier(2) for _ in range(3)]
    # One after the other: each has begun, and is at its barrier's second turn, before the next thread is made.
    def crosses_twice(barrier):
        barrier.wait()
        barrier.wait()
    def crossing(barrier):
        pool.submit(crosses_twice, barrier)
        barrier.wait()
    with playtrace_agent.trace("first"):
        crossing(barriers[0])
    crossing(barriers[1])
    with playtrace_agent.trace("third"):
        crossing(barriers[2])
    with playtrace_agent.trace("idle"):
        last = pool.submit(starts.one, 1)
    for barrier in barriers:
        barrier.wait()
    last.result()
with playtrace_agent.trace("made"):
    pool = ThreadPool(2, starts.start, ("b",))
    pool.map(starts.one, range(4))
pool.map(starts.one, range(4))
pool.close()
pool.join()
with playtrace_agent.trace("broken"):
    with ThreadPoolExecutor(1, initializer=starts.fails) as pool:
        error = pool.submit(starts.one, 1).exception()
        assert type(error).__name__ == "BrokenThreadPool", error
        try:
            pool.submit(starts.one, 1)
        except RuntimeError:
            pass
""",
    )
    found = started(outcome.wrote)
    assert found["first"] == {0}
    assert found["third"] == {2}
    assert found["idle"] == set()
    assert found["made"] == {0, 1}
    assert outcome.wrote.lines("broken", "starts.py") == [FAILS - 1, FAILS]
    for slug in found:
        assert whole(outcome.wrote, slug), slug
