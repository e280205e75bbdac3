"""Calls that traced work submits to pools, which are others' too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from handover import FAILS, FOUR, METHODS, ONE, PREPARE, THREE, TWO, WORK, drive, lines, unkept, whole

if TYPE_CHECKING:
    from conftest import Workspace


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
    # The worker is busy until all are in the queue: a pool whose worker has been killed takes nothing more.
    first = pool.submit(work.waits, path := os.path.abspath("busy"))
    while not os.path.exists(path): time.sleep(0.01)
    with playtrace_agent.trace("broken"):
        futures = [pool.submit(work.killed, 1), *(pool.submit(work.two, n) for n in range(9))]
        os.remove(path)
        assert first.result() == 1
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
