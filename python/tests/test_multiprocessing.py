"""Processes of multiprocessing, and of its managers, that traced work starts."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import coverage
import pytest
from handover import METHODS, ONE, PREPARE, THREE, TWO, drive, lines, whole

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.mark.parametrize("method", METHODS)
def test_a_process_belongs_to_the_work_that_starts_it(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
with playtrace_agent.trace("p", "r"):
    process = context.Process(target=work.one, args=(1,), name="one \\udcff")
    process.start()
    process.join()
    assert process.exitcode == 0
    failing = context.Process(target=sys.exit, args=(3,))
    failing.start()
    failing.join()
    assert failing.exitcode == 3
    unpicklable = context.Process(target=lambda: None)
    try:
        unpicklable.start()
    except (AttributeError, __import__("pickle").PicklingError):
        assert METHOD != "fork"
    else:
        unpicklable.join()
process = context.Process(target=work.two, args=(1,))
process.start()
process.join()
with playtrace_agent.trace("q"):
    daemon = context.Process(target=work.waits, args=("gate",), daemon=True, name="endless")
    daemon.start()
    while not os.path.exists("gate"):
        pass
    daemon.terminate()
    daemon.join()
os.remove("gate")
""",
        method=method,
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"p": [ONE]}
    assert whole(wrote, "p", "r")
    assert "multiprocessing: one \\udcff" in [record["command"] for record in wrote.of_kind("p", "spawn", "r")]
    # A daemon that is ended by a signal has lost what it did.
    assert [(record["kind"], record["what"]) for record in wrote.unclosed("q")] == [
        ("child", "multiprocessing: endless")
    ]


def test_a_child_of_a_traced_process_has_children_too(workspace: Workspace) -> None:
    """In a process that belongs to a run as a whole, its pools' workers still belong to nobody."""
    workspace.write(
        "family.py",
        """
        import multiprocessing, work

        def parent(method):
            context = multiprocessing.get_context(method)
            with context.Pool(1) as pool:
                assert pool.apply(work.two, (1,)) == 2
            child = context.Process(target=work.three, args=(1,))
            child.start()
            child.join()
            assert child.exitcode == 0

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                parent(method)
        """,
    )
    outcome = drive(
        workspace,
        """
import family, subprocess
with playtrace_agent.trace("p"):
    process = context.Process(target=family.parent, args=("spawn",))
    process.start()
    process.join()
    assert process.exitcode == 0
with playtrace_agent.trace("q"):
    subprocess.run([sys.executable, "family.py"], check=True)
""",
        method="spawn",
    )
    assert lines(outcome.wrote) == {"p": [TWO, THREE], "q": [TWO, THREE]}
    assert whole(outcome.wrote, "p")
    assert whole(outcome.wrote, "q")


def test_what_a_manager_runs_for_traced_work_is_named(workspace: Workspace) -> None:
    workspace.write(
        "shop.py",
        """
        from multiprocessing.managers import BaseManager

        class Till:
            def add(self, n):
                return n + 1

        class Shop(BaseManager):
            pass

        Shop.register("Till", Till)
        """,
    )
    outcome = drive(
        workspace,
        """
import shop
with playtrace_agent.trace("plain"):
    with context.Manager() as manager:
        shared = manager.dict(a=1)
        shared["b"] = 2
        assert dict(shared) == {"a": 1, "b": 2}
with playtrace_agent.trace("made"):
    manager = shop.Shop(ctx=context)
    manager.start(work.prepare, (1,))
till = manager.Till()
assert till.add(1) == 2
with playtrace_agent.trace("used"):
    assert till.add(1) == till.add(1) == 2
manager.shutdown()
""",
        method="spawn",
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"made": [PREPARE]}
    assert whole(wrote, "plain")
    assert whole(wrote, "made")
    assert [record["reason"] for record in wrote.of_kind("used", "lost")] == [
        "what 'Till' does in the process of a multiprocessing manager is not followed"
    ]


def test_nothing_is_imported_before_somebody_asks(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import sys, importlib, importlib.util, traceback, playtrace_agent

        with playtrace_agent.trace("p"):
            pass
        ours = ("playtrace_agent.multiprocess", "playtrace_agent.pools", "playtrace_agent.managers")
        assert not [name for name in (*ours, "multiprocessing") if name in sys.modules]
        assert importlib.util.find_spec("multiprocessing.pool") is not None
        import multiprocessing.pool
        assert ours[1] in sys.modules
        loader = multiprocessing.pool.__spec__.loader
        assert vars(loader) == {"name": loader.name, "path": loader.path}
        assert multiprocessing.pool.Pool.apply_async.__wrapped__
        importlib.reload(multiprocessing.pool)
        followed = multiprocessing.pool.Pool.apply_async
        assert followed.__wrapped__ and not hasattr(followed.__wrapped__, "__wrapped__")
        try:
            import nowhere
        except ImportError:
            assert "playtrace" not in traceback.format_exc()
        """
    )
    assert outcome.err == ""


def test_off_means_that_nothing_is_changed(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import os, sys
        finders, system = list(sys.meta_path), os.system
        import concurrent.futures.process, multiprocessing.managers, multiprocessing.pool, playtrace_agent
        with playtrace_agent.trace("p"):
            pass
        assert finders == sys.meta_path and system is os.system
        for changed in (
            multiprocessing.process.BaseProcess.start,
            multiprocessing.spawn.get_preparation_data,
            multiprocessing.pool.Pool.apply_async,
            concurrent.futures.ProcessPoolExecutor.submit,
            concurrent.futures.Future.add_done_callback,
        ):
            assert not hasattr(changed, "__wrapped__"), changed
        assert not [name for name in sys.modules if name.startswith("playtrace_agent.") and name.split(".")[1] in (
            "_native", "onimport", "workitems", "pools", "executors", "multiprocess", "managers", "processes",
            "propagation")]
        """,
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    assert outcome.err == ""
    assert not workspace.data.exists()


MIX = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def crunch(n):
    total = 0
    for i in range(n):
        if i % 3 == 0:
            total += i
        elif i > 100:
            total -= 1
    else:
        total += 1
    return [total for _ in range(2)]


def worker(queue, items):
    for item in items:
        try:
            queue.put(crunch(item)[0] // (item - 2))
        except ZeroDivisionError:
            queue.put(None)
    queue.close()
    queue.join_thread()


class Machine(multiprocessing.get_context(METHOD).Process):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def run(self):
        if self.n:
            self.helper()

    def helper(self):
        crunch(self.n)


def ready():
    crunch(1)


def run():
    context = multiprocessing.get_context(METHOD)
    queue = context.Queue()
    process = context.Process(target=worker, args=(queue, [1, 2, 3]))
    process.start()
    results = [queue.get() for _ in range(3)]
    process.join()
    machine = Machine(4)
    machine.start()
    machine.join()
    with ProcessPoolExecutor(1, mp_context=context, initializer=ready) as pool:
        results += pool.map(crunch, range(6), chunksize=4)
    pool = context.Pool(1, ready)
    results += pool.imap(crunch, range(3))
    pool.close()
    pool.join()
    assert len(results) == 12, results
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_same_lines_as_coverage(workspace: Workspace, method: str) -> None:
    mix = workspace.write("mix.py", MIX.replace("METHOD", repr(method)))
    outcome = drive(
        workspace,
        """
import mix
with playtrace_agent.trace("p"):
    mix.run()
""",
        method=method,
    )
    config = workspace.write(
        "coveragerc", "[run]\nconcurrency = multiprocessing\nparallel = True\ndata_file = oracle/data\nsource = .\n"
    )
    (workspace.app / "oracle").mkdir()
    environment = workspace.environment({"ENABLE_PROFILE_COVERAGE": None, "COVERAGE_CORE": "ctrace"})
    subprocess.run(
        [sys.executable, "-m", "coverage", "run", f"--rcfile={config}", "driver.py"],
        env=environment,
        cwd=workspace.app,
        check=True,
    )
    expected = set()
    for path in (workspace.app / "oracle").iterdir():
        data = coverage.CoverageData(str(path))
        data.read()
        expected.update(data.lines(str(mix)) or [])
        data.close(force=True)
    # Code of the module itself is the import's.
    functions = [node for node in ast.walk(ast.parse(mix.read_text())) if isinstance(node, ast.FunctionDef)]
    bodies = {line for node in functions for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}
    assert outcome.wrote.lines("p", "mix.py") == sorted(expected & bodies)
    assert len(expected & bodies) > 30
    assert whole(outcome.wrote, "p")


def test_no_thread_is_traced_before_its_work_can_be_followed(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import threading, time, playtrace_agent
        from playtrace_agent import runtime

        events = []
        coming = threading.Event()

        def second():
            coming.set()
            with playtrace_agent.trace("second"):
                events.append("second is traced")

        class Registry:
            def register(self, function):
                # In the middle of the start: long enough for the other to overtake, if it could.
                thread.start()
                coming.wait()
                for _ in range(200):
                    time.sleep(0.001)
                    if events:
                        break
                events.append("the agent is on")

        thread = threading.Thread(target=second)
        runtime.atexit = Registry()
        with playtrace_agent.trace("first"):
            pass
        thread.join()
        assert events == ["the agent is on", "second is traced"], events
        """
    )
    assert whole(outcome.wrote, "second")
