"""Work that traced work hands to the processes of multiprocessing, and to pools that are others' too.

The lines that each profile must have are known in advance: each runs functions of its own.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import coverage
import pytest

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
    while os.path.exists(path):
        time.sleep(0.01)
    return 1

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
        f"import multiprocessing, os, sys, work, playtrace_agent\n\n"
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


@pytest.mark.parametrize("method", METHODS)
def test_an_executor_outlives_the_work_that_made_it(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
from concurrent.futures import ProcessPoolExecutor, wait
with ProcessPoolExecutor(2, mp_context=context, initializer=work.prepare, initargs=(7,)) as pool:
    with playtrace_agent.trace("a", "r1"):
        assert pool.submit(work.one, 1).result() == 2
        assert list(pool.map(work.two, range(5), chunksize=2)) == [0, 2, 4, 6, 8]
    assert [future.result() for future in [pool.submit(work.three, 1) for _ in range(8)]] == [-2] * 8
    with playtrace_agent.trace("b"):
        assert [future.result() for future in [pool.submit(work.four, n, n) for n in range(8)]] == list(range(0, 16, 2))
        late = pool.submit(work.one, 5)
    assert late.result() == 6
    assert list(pool.map(work.three, range(4))) == [-3, -2, -1, 0]
""",
        method=method,
    )
    assert lines(outcome.wrote) == {"a": [ONE, TWO, PREPARE], "b": [ONE, FOUR]}
    assert whole(outcome.wrote, "a", "r1")
    assert whole(outcome.wrote, "b")
    assert outcome.err == ""


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_submit_to_a_pool(workspace: Workspace, method: str) -> None:
    workspace.write(
        "feeds.py",
        """
        def pairs(n):
            for i in range(n):
                yield i, i

        def numbers(n):
            yield from range(n)

        def called(value):
            SEEN.append(value)

        def failed(error):
            SEEN.append(type(error).__name__)

        SEEN = []
        """,
    )
    outcome = drive(
        workspace,
        """
import feeds
trace = playtrace_agent.trace
with context.Pool(2, work.prepare, (7,)) as pool:
    with trace("apply"):
        assert pool.apply(work.one, (1,)) == 2
    with trace("apply-async"):
        pool.apply_async(work.two, [1], callback=feeds.called).wait()
    with trace("map"):
        assert pool.map(work.three, range(9)) == list(range(-3, 6))
    pool.map(work.four, range(9))
    with trace("map-async"):
        assert pool.map_async(work.one, range(3), 1, error_callback=feeds.failed).get() == [1, 2, 3]
    with trace("starmap"):
        assert pool.starmap(work.four, feeds.pairs(3)) == [0, 2, 4]
    with trace("imap"):
        assert list(pool.imap(work.two, feeds.numbers(4))) == [0, 2, 4, 6]
    with trace("imap-chunks"):
        assert list(pool.imap(work.three, feeds.numbers(4), 3)) == [-3, -2, -1, 0]
    with trace("imap-unordered"):
        assert sorted(pool.imap_unordered(work.four, feeds.numbers(4), 2)) == [0, 1, 2, 3]
    with trace("failing"):
        try:
            pool.map_async(work.fails, [5], error_callback=feeds.failed).get()
        except ValueError as error:
            assert "work.py" in str(error.__cause__)
    with trace("iterable"):
        try:
            list(pool.imap(work.one, (1 // n for n in [1, 0])))
        except ZeroDivisionError:
            pass
    with trace("empty"):
        assert pool.map(work.one, []) == []
    pool.map(work.one, range(9))
    pool.close()
    pool.join()
assert feeds.SEEN == [2, "ValueError"], feeds.SEEN
""",
        method=method,
    )
    assert lines(outcome.wrote) == {
        "apply": [ONE],
        "apply-async": [TWO],
        "map": [THREE],
        "map-async": [ONE],
        "starmap": [FOUR],
        "imap": [TWO],
        "imap-chunks": [THREE],
        "imap-unordered": [FOUR],
        "failing": [FAILS],
        "iterable": [ONE],
    }
    # What a pool runs in the submitting process is the submitter's, too.
    contexts = outcome.wrote.contexts()
    ours = {slug: contexts[f"profile:{slug}"].get("feeds.py") for slug in lines(outcome.wrote)}
    assert {slug: found for slug, found in ours.items() if found} == {
        "apply-async": [9],
        "starmap": [2, 3],
        "imap": [6],
        "imap-chunks": [6],
        "imap-unordered": [6],
        "failing": [12],
    }
    for slug in (*lines(outcome.wrote), "empty"):
        assert whole(outcome.wrote, slug), slug
    assert outcome.err == ""


@pytest.mark.parametrize("method", METHODS)
def test_a_process_belongs_to_the_work_that_starts_it(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
with playtrace_agent.trace("p", "r"):
    process = context.Process(target=work.one, args=(1,), name="one")
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
    assert "multiprocessing: one" in [record["command"] for record in wrote.of_kind("p", "spawn", "r")]
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


@pytest.mark.parametrize("method", METHODS)
def test_items_that_fail_or_never_run(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
from concurrent.futures import ProcessPoolExecutor, CancelledError, wait
import pickle
with ProcessPoolExecutor(1, mp_context=context) as pool:
    with playtrace_agent.trace("fails"):
        error = pool.submit(work.fails, 3).exception()
        assert type(error) is ValueError and error.args == ("no 3",), error
        assert "in fails" in str(error.__cause__)
    plain = pool.submit(lambda: 1).exception()
    with playtrace_agent.trace("unpicklable"):
        error = pool.submit(lambda: 1).exception()
        assert type(error) is type(plain), (error, plain)
        error = pool.submit(work.one, open(os.devnull)).exception()
        assert type(error) is TypeError, error
        assert pool.submit(work.one, 1).result() == 2
    with playtrace_agent.trace("cancelled"):
        gate = pool.submit(work.waits, "gate")
        # More than the call queue takes ahead.
        futures = [pool.submit(work.two, n) for n in range(9)]
        assert futures[-1].cancel()
        while not os.path.exists("gate"):
            pass
        os.remove("gate")
    assert gate.result() == 1
    wait(futures)
with playtrace_agent.trace("refused"):
    try:
        pool.submit(work.one, 1)
    except RuntimeError:
        pass
""",
        method=method,
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"fails": [FAILS], "unpicklable": [ONE], "cancelled": [TWO, 22, 23, 24, 25]}
    for slug in ("fails", "unpicklable", "cancelled", "refused"):
        assert whole(wrote, slug), slug
    assert "work.two in a process pool: cancelled" not in [r["what"] for r in wrote.of_kind("cancelled", "open")]
    assert [r["what"] for r in wrote.of_kind("cancelled", "open") if "cancelled" in r["what"]] == [
        "two in a process pool: cancelled"
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_is_killed_is_named(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
with ProcessPoolExecutor(1, mp_context=context) as pool:
    with playtrace_agent.trace("before"):
        assert pool.submit(work.one, 1).result() == 2
    with playtrace_agent.trace("broken"):
        futures = [pool.submit(work.killed, 1), *(pool.submit(work.two, n) for n in range(9))]
        assert {type(future.exception()) for future in futures} == {BrokenProcessPool}
""",
        method=method,
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"before": [ONE]}
    assert whole(wrote, "before")
    assert [record["what"] for record in wrote.unclosed("broken")] == ["killed in a process pool"]
    assert unkept(wrote, "broken") == []


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_that_is_terminated(workspace: Workspace, method: str) -> None:
    outcome = drive(
        workspace,
        """
with playtrace_agent.trace("done"):
    with context.Pool(1, work.prepare, (7,)) as pool:
        assert pool.map(work.one, range(4)) == [1, 2, 3, 4]
with playtrace_agent.trace("cut"):
    with context.Pool(1) as pool:
        pool.apply_async(work.waits, ("gate",), callback=print)
        for n in range(5):
            pool.apply_async(work.two, (n,))
        pool.map_async(work.three, range(99), 1)
        while not os.path.exists("gate"):
            pass
os.remove("gate")
""",
        method=method,
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"done": [ONE, PREPARE]}
    assert whole(wrote, "done")
    # The call that was under way is lost; those that never began are not.
    assert [record["what"] for record in wrote.unclosed("cut")] == ["waits in a process pool"]
    assert unkept(wrote, "cut") == []
    assert outcome.err == ""


def test_pools_inside_of_pools(workspace: Workspace) -> None:
    workspace.write(
        "nest.py",
        """
        import multiprocessing, work
        from concurrent.futures import ProcessPoolExecutor

        def inner(method, fn):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                return pool.submit(fn, 1).result()
        """,
    )
    outcome = drive(
        workspace,
        """
import nest
from concurrent.futures import ProcessPoolExecutor
for method in ("fork", "spawn"):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        with playtrace_agent.trace(method + "1"):
            assert pool.submit(nest.inner, "spawn", work.one).result() == 2
        assert pool.submit(nest.inner, "spawn", work.two).result() == 2
        with playtrace_agent.trace(method + "2"):
            assert pool.submit(nest.inner, "fork", work.three).result() == -2
""",
    )
    assert lines(outcome.wrote) == {"fork1": [ONE], "spawn1": [ONE], "fork2": [THREE], "spawn2": [THREE]}
    for slug in lines(outcome.wrote):
        assert outcome.wrote.lines(slug, "nest.py") == [5, 6], slug
        assert whole(outcome.wrote, slug), slug


def test_a_pool_of_threads(workspace: Workspace) -> None:
    workspace.write("feeds.py", "def numbers(n):\n    yield from range(n)\n\ndef called(value):\n    return value\n")
    outcome = drive(
        workspace,
        """
import feeds
from multiprocessing.pool import ThreadPool
with playtrace_agent.trace("made"):
    pool = ThreadPool(2)
    pool.map(work.one, range(9))
with playtrace_agent.trace("uses"):
    assert list(pool.imap(work.two, feeds.numbers(3))) == [0, 2, 4]
    pool.apply_async(work.two, (1,), callback=feeds.called).get()
pool.map(work.three, range(99))
pool.close()
pool.join()
with playtrace_agent.trace("cut"), ThreadPool(1) as pool:
    pool.map_async(work.four, range(9), 1).get()
    pool.apply_async(work.waits, ("gate",))
    pool.map_async(work.three, range(99), 1)
    while not os.path.exists("gate"):
        pass
    os.remove("gate")
""",
    )
    assert lines(outcome.wrote)["made"] == [ONE]
    assert lines(outcome.wrote)["uses"] == [TWO]
    assert outcome.wrote.lines("uses", "feeds.py") == [2, 5]
    assert set(lines(outcome.wrote)["cut"]) >= {FOUR, 22}
    for slug in ("made", "uses", "cut"):
        assert whole(outcome.wrote, slug), slug


def test_pickling_is_part_of_the_work(workspace: Workspace) -> None:
    workspace.write(
        "thing.py",
        """
        class Thing:
            def __getstate__(self):
                return {"n": 1}

            def __setstate__(self, state):
                self.n = state["n"]

        class Cursed(Thing):
            def __setstate__(self, state):
                raise LookupError(state)

        def use(thing):
            return thing.n
        """,
    )
    outcome = drive(
        workspace,
        """
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
import thing
with ProcessPoolExecutor(1, mp_context=context) as pool:
    with playtrace_agent.trace("p"):
        assert pool.submit(thing.use, thing.Thing()).result() == 1
    with playtrace_agent.trace("q"):
        # As without the agent: the worker can't go on.
        assert type(pool.submit(thing.use, thing.Cursed()).exception()) is BrokenProcessPool
""",
        method="spawn",
    )
    assert outcome.wrote.lines("p", "thing.py") == [3, 6, 13]
    assert outcome.wrote.lines("q", "thing.py") == [3, 10]
    assert whole(outcome.wrote, "p")
    assert whole(outcome.wrote, "q")


def test_callbacks_of_futures_belong_to_who_added_them(workspace: Workspace) -> None:
    outcome = drive(
        workspace,
        """
import asyncio, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
for pool, slug in ((ProcessPoolExecutor(1, mp_context=context), "process"), (ThreadPoolExecutor(1), "thread")):
    with pool:
        gate = threading.Event()
        with playtrace_agent.trace(slug):
            future = pool.submit(work.two, 1)
            future.add_done_callback(lambda future: work.one(1))
            future.add_done_callback(lambda future: gate.set())
        gate.wait()
        pool.submit(work.three, 1).add_done_callback(lambda future: work.four(1))
        with playtrace_agent.trace(slug + "-async"):
            async def main():
                assert await asyncio.get_running_loop().run_in_executor(pool, work.three, 3) == 0
            asyncio.run(main())
""",
    )
    wrote = outcome.wrote
    assert lines(wrote) == {
        "process": [ONE, TWO],
        "thread": [ONE, TWO],
        "process-async": [THREE],
        "thread-async": [THREE],
    }
    for slug in lines(wrote):
        assert whole(wrote, slug), slug
    # asyncio's own callbacks cost no records.
    assert not [r for r in wrote.of_kind("thread-async", "open") if "future" in r["what"]]


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
            "_native", "onimport", "workitems", "pools", "multiprocess", "managers", "processes", "propagation")]
        """,
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    assert outcome.err == ""
    assert not workspace.data.exists()


def test_overlapping_callers_of_one_pool(workspace: Workspace) -> None:
    outcome = drive(
        workspace,
        """
import contextlib, threading
from concurrent.futures import ProcessPoolExecutor

def call(slug, fn):
    for n in range(40):
        with playtrace_agent.trace(slug) if slug else contextlib.nullcontext():
            first, second = executor.submit(fn, n), pool.apply_async(fn, (n,))
            assert first.result() == second.get()

with ProcessPoolExecutor(2, mp_context=context) as executor, context.Pool(2) as pool:
    callers = [
        threading.Thread(target=call, args=args)
        for args in (("a", work.one), ("b", work.two), ("", work.three), ("c", work.four))
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
""",
        method="forkserver",
    )
    assert lines(outcome.wrote) == {"a": [ONE], "b": [TWO], "c": [FOUR]}
    for slug in ("a", "b", "c"):
        assert whole(outcome.wrote, slug), slug
        assert len(outcome.wrote.of_kind(slug, "spawn")) == 80


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


def test_a_worker_that_is_ended_before_it_begins_has_lost_nothing(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import multiprocessing, os, time, work, playtrace_agent

        if __name__ == "__mp_main__":
            # A worker reads its main module before it unpickles the initializer.
            open("begun", "w").close()
            while True:
                time.sleep(1)

        if __name__ == "__main__":
            with playtrace_agent.trace("p"):
                with multiprocessing.get_context("spawn").Pool(1, work.prepare, (1,)):
                    while not os.path.exists("begun"):
                        time.sleep(0.001)
        """
    )
    assert [record["command"] for record in outcome.wrote.of_kind("p", "spawn")] == ["prepare, an initializer"]
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
