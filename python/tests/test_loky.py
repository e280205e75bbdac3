"""Calls that traced work hands to loky's executors, its own and joblib's, and what joblib does with other pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from handover import FAILS, FOUR, ONE, PREPARE, THREE, TWO, drive, lines, unkept, whole
from test_pool_results import (
    BOX,
    BOXES,
    EXCEPTION,
    GOODS,
    MAKE_STUCK,
    PACKS,
    REBUILDS,
    REDUCED,
    REDUCES,
    REFUSE,
    STUCK,
    UNPACKS,
    goods,
)

if TYPE_CHECKING:
    from conftest import Workspace

PACKAGES = ("loky", "joblib.externals.loky")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_reusable_executor_works_for_several(workspace: Workspace, package: str) -> None:
    outcome = drive(
        workspace,
        f"""
import {package} as loky
with playtrace_agent.trace("a", "r1"):
    pool = loky.get_reusable_executor(max_workers=2, timeout=60, initializer=work.prepare, initargs=(7,))
    assert pool.submit(work.one, 1).result() == 2
    assert list(pool.map(work.two, range(5), chunksize=2)) == [0, 2, 4, 6, 8]
    # Only loky's own pickler can do that.
    assert pool.submit(lambda n: n + int(os.environ["PREPARED"]), 1).result() == 8
assert [future.result() for future in [pool.submit(work.three, 1) for _ in range(8)]] == [-2] * 8
with playtrace_agent.trace("b"):
    assert loky.get_reusable_executor(timeout=60, initializer=work.prepare, initargs=(7,), reuse=True) is pool
    assert [future.result() for future in [pool.submit(work.four, n, n) for n in range(8)]] == list(range(0, 16, 2))
    late = pool.submit(work.one, 5)
    assert type(pool.submit(work.fails, 1).exception()) is ValueError
assert late.result() == 6
with playtrace_agent.trace("grown"):
    assert loky.get_reusable_executor(3, timeout=60, initializer=work.prepare, initargs=(7,)) is pool
    assert pool.submit(work.one, 5).result() == 6
with playtrace_agent.trace("plain"):
    work.three(1)
assert list(pool.map(work.three, range(4))) == [-3, -2, -1, 0]
pool.shutdown()
""",
    )
    wrote = outcome.wrote
    assert lines(wrote) == {
        "a": [ONE, TWO, PREPARE],
        "b": [ONE, FOUR, FAILS],
        "grown": [ONE, PREPARE],
        "plain": [THREE],
    }
    assert whole(wrote, "a", "r1")
    for slug in ("b", "grown", "plain"):
        assert whole(wrote, slug), slug
    assert outcome.err == ""


@pytest.mark.parametrize("package", PACKAGES[:1])
def test_results_are_pickled_for_who_asked(workspace: Workspace, package: str) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        f"""
import goods
import {package} as loky
pool = loky.get_reusable_executor(max_workers=1, timeout=60)
assert pool.submit(goods.box).result().n == 1
with playtrace_agent.trace("box"):
    assert pool.submit(goods.box).result().n == 1
with playtrace_agent.trace("reduced"):
    assert type(pool.submit(goods.reduced).result()) is goods.Box
with playtrace_agent.trace("refused"):
    error = pool.submit(goods.refuse).exception()
    assert type(error) is goods.Refusal and error.code == 7
with playtrace_agent.trace("stuck"):
    error = pool.submit(goods.stuck).exception()
    assert type(error) is LookupError and error.args == ("stays here",), error
with playtrace_agent.trace("sent"):
    assert pool.submit(work.four, goods.Box().__getstate__()["n"]).result() == 1
    assert pool.submit(type, goods.Box()).result() is goods.Box
with playtrace_agent.trace("unsent"):
    assert type(pool.submit(type, goods.Stuck()).exception().__cause__).__name__ == "_RemoteTraceback"
with playtrace_agent.trace("mapped"):
    assert [box.n for box in pool.map(goods.boxes, range(4), chunksize=2)] == [1, 1, 1, 1]
assert pool.submit(goods.refuse).exception().code == 7
pool.shutdown()
""",
    )
    wrote = outcome.wrote
    assert goods(wrote.contexts()) == {
        "box": [PACKS, UNPACKS, BOX],
        "reduced": [REDUCES, REBUILDS, REDUCED],
        "refused": [*EXCEPTION, REFUSE],
        "stuck": [STUCK[0], MAKE_STUCK],
        "sent": [PACKS, UNPACKS],
        "unsent": [STUCK[0]],
        "mapped": [PACKS, UNPACKS, BOXES],
    }
    for slug in goods(wrote.contexts()):
        assert whole(wrote, slug), slug
    assert outcome.err == ""


@pytest.mark.parametrize("package", PACKAGES[:1])
def test_a_worker_that_dies_is_named(workspace: Workspace, package: str) -> None:
    outcome = drive(
        workspace,
        f"""
import {package} as loky
pool = loky.get_reusable_executor(max_workers=1, timeout=60)
with playtrace_agent.trace("before"):
    assert pool.submit(work.one, 1).result() == 2
with playtrace_agent.trace("broken"):
    futures = [pool.submit(work.killed, 1), *(pool.submit(work.two, n) for n in range(9))]
    assert {{type(future.exception()).__name__ for future in futures}} == {{"TerminatedWorkerError"}}
with playtrace_agent.trace("cut"):
    pool = loky.get_reusable_executor(max_workers=1, timeout=60)
    futures = [pool.submit(work.waits, "gate"), *(pool.submit(work.two, n) for n in range(9))]
    while not os.path.exists("gate"):
        pass
    pool.shutdown(kill_workers=True)
    assert {{type(future.exception()).__name__ for future in futures}} == {{"ShutdownExecutorError"}}
""",
    )
    wrote = outcome.wrote
    assert lines(wrote) == {"before": [ONE]}
    assert whole(wrote, "before")
    for slug, what in (("broken", "killed"), ("cut", "waits")):
        assert [record["what"] for record in wrote.unclosed(slug)] == [f"{what} in a process pool"]
        # Those that never began are not lost.
        assert unkept(wrote, slug) == []


def test_a_worker_of_a_program_that_is_traced_is_nobodys(workspace: Workspace) -> None:
    """It inherits the program's environment, which says whose the program is."""
    workspace.write(
        "program.py",
        """
        import loky, work, playtrace_agent

        if __name__ == "__main__":
            pool = loky.get_reusable_executor(max_workers=1, timeout=60)
            with playtrace_agent.trace("other"):
                assert pool.submit(work.one, 1).result() == 2
            assert pool.submit(work.two, 1).result() == 2
            # It is at work on nothing, so nothing is cut off.
            pool.shutdown(kill_workers=True)
        """,
    )
    outcome = drive(
        workspace,
        """
import subprocess
with playtrace_agent.trace("p", "r"):
    subprocess.run([sys.executable, "program.py"], check=True)
""",
    )
    assert lines(outcome.wrote) == {"other": [ONE], "p": [TWO]}
    assert whole(outcome.wrote, "other")
    # loky asks `pgrep` whom to kill: a child that is not Python, and promises nothing.
    assert outcome.wrote.unclosed("p", "r") == []
    assert {"pgrep"} >= {command.split()[0] for command in unkept(outcome.wrote, "p", "r")}


def test_what_goes_through_its_queues(workspace: Workspace) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
import goods, loky
with playtrace_agent.trace("on"):
    queue = loky.backend.get_context("loky").Queue()
queue.put(goods.Box())
assert queue.get().n == 1
with playtrace_agent.trace("put"):
    queue.put(goods.Box())
assert queue.get().n == 1
queue.put(goods.Box())
with playtrace_agent.trace("get"):
    assert queue.get().n == 1
""",
    )
    assert goods(outcome.wrote.contexts()) == {"put": [PACKS], "get": [UNPACKS]}
    assert whole(outcome.wrote, "put")


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(workspace: Workspace, backend: str) -> None:
    outcome = drive(
        workspace,
        f"""
from joblib import Parallel, delayed, parallel_config

def run(function, **more):
    with parallel_config(backend={backend!r}, n_jobs=2):
        return list(Parallel(**more)(delayed(function)(n) for n in range(9)))

with playtrace_agent.trace("a", "r"):
    assert run(work.one) == list(range(1, 10))
run(work.two)
with playtrace_agent.trace("b"):
    assert run(work.three, batch_size=3) == list(range(-3, 6))
    with Parallel(n_jobs=2, backend={backend!r}) as parallel:
        assert parallel(delayed(work.four)(n, n) for n in range(3)) == [0, 2, 4]
        assert parallel(delayed(work.one)(n) for n in range(3)) == [1, 2, 3]
if {backend != "multiprocessing"}:
    with playtrace_agent.trace("generator"):
        assert list(run(work.four, return_as="generator")) == list(range(9))
with playtrace_agent.trace("failing"):
    try:
        run(work.fails)
    except ValueError as error:
        assert str(error).startswith("no ")
run(work.two)
""",
    )
    wrote = outcome.wrote
    expected = {"a": [ONE], "b": [ONE, THREE, FOUR], "failing": [FAILS], "generator": [FOUR]}
    if backend == "multiprocessing":
        del expected["generator"]
    assert lines(wrote) == expected
    assert whole(wrote, "a", "r")
    for slug in expected.keys() - {"a", "failing"}:
        assert whole(wrote, slug), (slug, wrote.unclosed(slug), unkept(wrote, slug))
    # What joblib itself cut off when a call failed may be named; nothing else.
    assert unkept(wrote, "failing") == []


@pytest.mark.parametrize("made", [
    "loky.ProcessPoolExecutor(1, job_reducers=FORTH, result_reducers=BACK)",
    "PicklingPool(1, forward_reducers=FORTH, backward_reducers=BACK)",
    "PicklingPool(1, forward_reducers=FORTH)",
], ids=["loky", "joblib", "one way"])  # fmt: skip
def test_an_app_may_choose_how_arguments_and_results_are_pickled(workspace: Workspace, made: str) -> None:
    workspace.write(
        "parcels.py",
        """
        class Parcel:
            def __init__(self, way): self.way = way

        def forth(parcel):
            return Parcel, ("forth",)

        def back(parcel):
            return Parcel, ("back",)

        def same(parcel):
            return parcel.way, parcel

        FORTH = {Parcel: forth}
        BACK = {Parcel: back}
        """,
    )
    back = "back" if "BACK" in made else "forth"
    outcome = drive(
        workspace,
        f"""
import loky, parcels
from joblib.pool import PicklingPool
from parcels import FORTH, BACK
pool = {made}

def ask():
    if hasattr(pool, "submit"):
        return pool.submit(parcels.same, parcels.Parcel("none")).result()
    return pool.apply(parcels.same, (parcels.Parcel("none"),))

way, parcel = ask()
assert (way, parcel.way) == ("forth", {back!r})
with playtrace_agent.trace("p"):
    way, parcel = ask()
assert (way, parcel.way) == ("forth", {back!r})
way, parcel = ask()
pool.shutdown() if hasattr(pool, "submit") else pool.terminate()
""",
    )
    assert outcome.wrote.lines("p", "parcels.py") == [2, 5, 8, 11] if back == "back" else [2, 5, 11]
    assert whole(outcome.wrote, "p")
