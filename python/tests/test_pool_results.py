"""The app's code that pickles and unpickles what comes back from a pool, and what goes through a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from handover import METHODS, drive, unkept, whole

if TYPE_CHECKING:
    from conftest import Workspace

GOODS = """
class Box:
    def __getstate__(self):
        return {"n": 1}

    def __setstate__(self, state):
        self.n = state["n"]

class Reduced:
    def __reduce__(self):
        return rebuilt, ()

def rebuilt():
    return Box()

class Refusal(Exception):
    def __init__(self, code):
        self.code = code

    def __str__(self):
        return f"refused with {self.code}"

    def __reduce__(self):
        return Refusal, (self.code,)

class Stuck:
    def __reduce__(self):
        raise LookupError("stays here")

    def __repr__(self):
        return "<stuck>"

class Cursed:
    def __reduce__(self):
        return curse, ()

def curse():
    raise LookupError("cursed")

def box():
    return Box()

def reduced():
    return Reduced()

def refuse():
    raise Refusal(7)

def stuck():
    return Stuck()

def cursed():
    return Cursed()

def boxes(n):
    return Box()

def take(queue):
    queue.put(queue.get().n)

def give(queue):
    queue.put(Box())
    queue.close()
    queue.join_thread()
"""


def line(text: str, nth: int = 1) -> int:
    """Return the number of the nth line with this text."""
    return [n for n, found in enumerate(GOODS.lstrip("\n").splitlines(), 1) if found.strip() == text][nth - 1]


PACKS, UNPACKS = line('return {"n": 1}'), line('self.n = state["n"]')
REDUCES, REBUILDS = line("return rebuilt, ()"), line("return Box()")
EXCEPTION = [line("self.code = code"), line('return f"refused with {self.code}"'), line("return Refusal, (self.code,)")]
STUCK = [line('raise LookupError("stays here")'), line('return "<stuck>"')]
CURSED = [line("return curse, ()"), line('raise LookupError("cursed")')]
BOX, REDUCED, REFUSE, MAKE_STUCK, MAKE_CURSED, BOXES = (
    line("return Box()", 2),
    line("return Reduced()"),
    line("raise Refusal(7)"),
    line("return Stuck()"),
    line("return Cursed()"),
    line("return Box()", 3),
)
TAKE, GIVE = line("queue.put(queue.get().n)"), line("queue.put(Box())")


def goods(outcome_lines: dict[str, dict[str, list[int]]]) -> dict[str, list[int]]:
    """Return each profile's lines of goods.py."""
    found = {context.removeprefix("profile:"): files.get("goods.py", []) for context, files in outcome_lines.items()}
    return {slug: lines for slug, lines in found.items() if lines and slug != "import" and ":" not in slug}


@pytest.mark.parametrize("method", METHODS)
def test_results_of_an_executor(workspace: Workspace, method: str) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
import goods
with ProcessPoolExecutor(1, mp_context=context) as pool:
    assert pool.submit(goods.box).result().n == 1
    with playtrace_agent.trace("box"):
        assert pool.submit(goods.box).result().n == 1
    with playtrace_agent.trace("reduced"):
        assert type(pool.submit(goods.reduced).result()) is goods.Box
    with playtrace_agent.trace("refused"):
        error = pool.submit(goods.refuse).exception()
        assert type(error) is goods.Refusal and error.code == 7
        assert "goods.Refusal: refused with 7" in str(error.__cause__)
    with playtrace_agent.trace("stuck"):
        error = pool.submit(goods.stuck).exception()
        assert type(error) is LookupError and error.args == ("stays here",), error
    with playtrace_agent.trace("mapped"):
        assert [box.n for box in pool.map(goods.boxes, range(4), chunksize=2)] == [1, 1, 1, 1]
    with playtrace_agent.trace("late"):
        late = pool.submit(goods.reduced)
    assert late.result()
    assert pool.submit(goods.refuse).exception().code == 7
    with playtrace_agent.trace("cursed"):
        error = pool.submit(goods.cursed).exception()
        assert type(error) is BrokenProcessPool and "LookupError: cursed" in str(error.__cause__)
""",
        method=method,
    )
    wrote = outcome.wrote
    assert goods(wrote.contexts()) == {
        "box": [PACKS, UNPACKS, BOX],
        "reduced": [REDUCES, REBUILDS, REDUCED],
        "refused": [*EXCEPTION, REFUSE],
        "stuck": [STUCK[0], MAKE_STUCK],
        "mapped": [PACKS, UNPACKS, BOXES],
        "late": [REDUCES, REBUILDS, REDUCED],
        "cursed": [*CURSED, MAKE_CURSED],
    }
    for slug in goods(wrote.contexts()):
        assert whole(wrote, slug), slug
    assert outcome.err == ""


@pytest.mark.parametrize("method", METHODS)
def test_results_of_a_pool(workspace: Workspace, method: str) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
from multiprocessing.pool import MaybeEncodingError
import goods
with context.Pool(1) as pool:
    assert pool.apply(goods.box).n == 1
    with playtrace_agent.trace("box"):
        assert pool.apply(goods.box).n == 1
    with playtrace_agent.trace("refused"):
        try:
            pool.apply(goods.refuse)
        except goods.Refusal as error:
            assert error.code == 7 and "goods.Refusal: refused with 7" in str(error.__cause__)
    with playtrace_agent.trace("stuck"):
        try:
            pool.apply(goods.stuck)
        except MaybeEncodingError as error:
            assert str(error) == "Error sending result: '<stuck>'. Reason: 'LookupError('stays here')'", error
    with playtrace_agent.trace("mapped"):
        assert [box.n for box in pool.map(goods.boxes, range(4), 2)] == [1, 1, 1, 1]
    with playtrace_agent.trace("imap"):
        assert [box.n for box in pool.imap(goods.boxes, range(4))] == [1, 1, 1, 1]
    with playtrace_agent.trace("ended"):
        try:
            pool.apply_async(sys.exit, (3,)).get(0.5)
        except multiprocessing.TimeoutError:
            pass
    assert pool.apply(goods.reduced)
""",
        method=method,
    )
    wrote = outcome.wrote
    assert goods(wrote.contexts()) == {
        "box": [PACKS, UNPACKS, BOX],
        "refused": [*EXCEPTION, REFUSE],
        "stuck": [*STUCK, MAKE_STUCK],
        "mapped": [PACKS, UNPACKS, BOXES],
        "imap": [PACKS, UNPACKS, BOXES],
    }
    for slug in (*goods(wrote.contexts()), "ended"):
        assert whole(wrote, slug), slug
    assert outcome.err == ""


def test_a_result_that_nobody_waits_for(workspace: Workspace) -> None:
    """What waits for a result ends with the pool, also where the result never comes."""
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
import goods, time
with playtrace_agent.trace("p"):
    pool = context.Pool(1)
    results = [pool.apply_async(time.sleep, (0.01,)) for _ in range(20)]
    results[0].get()
    pool.terminate()
    pool.join()
""",
        method="spawn",
    )
    unclosed = {record["what"] for record in outcome.wrote.unclosed("p")}
    # At most the call that was cut.
    assert unclosed <= {"sleep in a process pool"}
    assert unkept(outcome.wrote, "p") == []


@pytest.mark.parametrize("method", METHODS)
def test_what_goes_through_a_queue(workspace: Workspace, method: str) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
import goods
with playtrace_agent.trace("on"):
    pass
queue, back, joinable = context.Queue(), context.Queue(), context.JoinableQueue()
queue.put(goods.Box())
assert queue.get().n == 1
with playtrace_agent.trace("put"):
    queue.put(goods.Box())
assert queue.get().n == 1
with playtrace_agent.trace("joinable"):
    joinable.put(goods.Reduced())
assert type(joinable.get()) is goods.Box
queue.put(goods.Box())
with playtrace_agent.trace("get"):
    assert queue.get().n == 1
with playtrace_agent.trace("child"):
    process = context.Process(target=goods.take, args=(queue,))
    process.start()
queue.put(goods.Box())
process.join()
assert process.exitcode == 0
assert queue.get() == 1
with playtrace_agent.trace("gives"):
    process = context.Process(target=goods.give, args=(back,))
    process.start()
assert back.get().n == 1
process.join()
with playtrace_agent.trace("refused"):
    queue.put(goods.Stuck())
    queue.put((1, "plain"))
assert queue.get() == (1, "plain")
queue.put(goods.Box())
assert queue.get().n == 1
""",
        method=method,
    )
    wrote = outcome.wrote
    assert goods(wrote.contexts()) == {
        "put": [PACKS],
        "joinable": [REDUCES],
        "get": [UNPACKS],
        "child": [UNPACKS, TAKE],
        "gives": [PACKS, GIVE, GIVE + 1, GIVE + 2],
        "refused": [STUCK[0]],
    }
    for slug in goods(wrote.contexts()):
        assert whole(wrote, slug), slug
    # The queue's own report of what it could not send; nothing of ours.
    assert outcome.err.count("Traceback") == 1
    assert outcome.err.endswith("LookupError: stays here\n")
    assert "playtrace" not in outcome.err


def test_putters_of_one_queue_at_the_same_time(workspace: Workspace) -> None:
    kinds = "".join(f"class C{n}:\n    def __reduce__(self):\n        return int, ({n},)\n\n" for n in range(4))
    workspace.write("kinds.py", kinds)
    outcome = drive(
        workspace,
        """
import contextlib, kinds, threading
with playtrace_agent.trace("on"):
    queue = context.Queue()

def put(n):
    for _ in range(200):
        with playtrace_agent.trace(f"p{n}") if n else contextlib.nullcontext():
            queue.put(vars(kinds)[f"C{n}"]())

threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
got = [queue.get() for _ in range(800)]
for thread in threads:
    thread.join()
assert [got.count(n) for n in range(4)] == [200] * 4
""",
    )
    wrote = outcome.wrote
    for n in range(1, 4):
        assert wrote.lines(f"p{n}", "kinds.py") == [4 * n + 3]
        assert whole(wrote, f"p{n}"), n


def test_a_queue_that_was_used_before_the_agent_is_named(workspace: Workspace) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
import goods
queue, other = context.Queue(), context.Queue()
queue.put(goods.Box())
with playtrace_agent.trace("plain"):
    queue.put((1, "two"))
    other.put(goods.Box())
with playtrace_agent.trace("p"):
    queue.put(goods.Box())
    queue.put(goods.Box())
assert [queue.get() for _ in range(4)][1] == (1, "two")
assert other.get().n == 1
""",
    )
    wrote = outcome.wrote
    assert goods(wrote.contexts()) == {"plain": [PACKS]}
    assert whole(wrote, "plain")
    assert [record["reason"] for record in wrote.of_kind("p", "lost")] == [
        "a queue that was used before the agent was switched on pickles what is put into it"
    ]


def test_what_is_put_into_a_queue_at_the_very_end(workspace: Workspace) -> None:
    workspace.write("goods.py", GOODS)
    outcome = drive(
        workspace,
        """
import goods
from multiprocessing import util
with playtrace_agent.trace("on"):
    queue = context.Queue()
with playtrace_agent.trace("p"):
    for _ in range(50):
        queue.put(goods.Box())
""",
    )
    assert goods(outcome.wrote.contexts()) == {"p": [PACKS]}
    assert whole(outcome.wrote, "p")
