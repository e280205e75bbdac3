"""Each piece of a coroutine is credited to its request, which is over when nothing is left of it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from asgi_harness import APP, HARNESS, marked

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    workspace.write("app.py", APP)
    return workspace


@pytest.mark.parametrize(
    "error", ["KeyError('x')", "KeyboardInterrupt()", "SystemExit(3)", "asyncio.CancelledError()", "GeneratorExit()"]
)
def test_whatever_the_app_raises_comes_through_and_ends_the_unit(app: Workspace, error: str) -> None:
    outcome = app.run(
        HARNESS
        + f"""
error = {error}

async def fails(scope, receive, send):
    await bounce()
    raise error

class bounce:
    def __await__(self):
        yield "bounced"

coroutine = trace(fails)(scope("p"), None, None)
assert coroutine.send(None) == "bounced"
try:
    coroutine.send(None)
except BaseException as raised:
    assert raised is error
else:
    raise AssertionError("nothing came")
assert playtrace_agent.current_slug() is None
""",
    )
    assert outcome.wrote.unclosed("p") == []
    assert outcome.wrote.of_kind("p", "left") == []


def test_a_cancelled_request_cleans_up_as_its_own_and_is_over(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def main():
    target = trace(app.waits)
    task = asyncio.create_task(call(target, "cancelled"))
    await asyncio.sleep(0)
    task.cancel("why")
    try:
        await task
    except asyncio.CancelledError as error:
        assert error.args == ("why",)
    assert task.cancelled()
    try:
        async with asyncio.timeout(0.01):
            await call(target, "timeout")
    except TimeoutError:
        pass

asyncio.run(main())
"""
    )
    for slug in ("cancelled", "timeout"):
        assert marked(APP, "waits") <= set(outcome.wrote.lines(slug, "app.py"))
        assert outcome.wrote.unclosed(slug) == [] == outcome.wrote.of_kind(slug, "left")


def test_a_coroutine_that_nobody_finishes_cleans_up_as_its_own_wherever_that_happens(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def main():
    left = trace(app.waits)(scope("left"), None, None)
    contextvars.copy_context().run(left.send, None)
    with playtrace_agent.trace("other"):
        # Its end is in the middle of somebody else's work.
        left.close()
        assert playtrace_agent.current_slug() == "other"

asyncio.run(main())
"""
    )
    assert marked(APP, "waits") <= set(outcome.wrote.lines("left", "app.py"))
    assert not marked(APP, "waits") & set(outcome.wrote.lines("other", "app.py"))
    assert outcome.wrote.unclosed("left") == [] == outcome.wrote.unclosed("other")


def test_coroutines_that_one_context_drives_in_turns_are_kept_apart(app: Workspace) -> None:
    app.write(
        "turns.py",
        """
        class bounce:
            def __await__(self):
                yield


        async def app(scope, receive, send):
            work = globals()[scope["path"][1:]]
            for _ in range(3):
                await bounce()
                work()


        def one():
            return 1  # one


        def two():
            return 2  # two
        """,
    )
    outcome = app.run(
        HARNESS
        + """
import turns

target = trace(turns.app)
waiting = [target(scope(name, path="/" + name), None, None) for name in ("one", "two")]
while waiting:
    for coroutine in list(waiting):
        try:
            coroutine.send(None)
        except StopIteration:
            waiting.remove(coroutine)
        assert playtrace_agent.current_slug() is None
"""
    )
    source = (app.app / "turns.py").read_text()
    for name, other in (("one", "two"), ("two", "one")):
        found = set(outcome.wrote.lines(name, "turns.py"))
        assert marked(source, name) <= found
        assert not marked(source, other) & found


LATE = """
import asyncio

TASKS = []


async def app(scope, receive, send):
    kind = scope["path"][1:]
    await globals()[kind]()
    await send({"type": "http.response.start", "status": 200})


async def task():
    TASKS.append(asyncio.create_task(later()))


async def callback():
    asyncio.get_running_loop().call_later(0.05, late)


async def thread():
    TASKS.append(asyncio.ensure_future(asyncio.to_thread(late)))


async def deadline():
    async with asyncio.timeout(3600):
        late()
    await asyncio.wait_for(asyncio.sleep(0), 3600)


async def later():
    await asyncio.sleep(0.05)
    late()


def late():
    return 1  # late
"""


@pytest.mark.parametrize("kind", ["task", "callback", "thread", "deadline"])
def test_a_request_is_open_until_nothing_is_left_of_it(app: Workspace, kind: str) -> None:
    app.write("late.py", LATE)
    outcome = app.run(
        HARNESS
        + f"""
import glob, os, late

def closed(slug):
    [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + f"/.playtrace/{{slug}}/_/*.ledger")
    return '"t":"closed","unit":"1"' in open(path).read()

async def main():
    target = trace(late.app)
    exchange = await call(target, "p", path="/{kind}")
    assert exchange.status == "on"
    # A timer that was cancelled holds nothing back.
    assert closed("p") == ({kind!r} in ("deadline",)), "at its return"
    await asyncio.gather(*late.TASKS)
    late.TASKS.clear()
    async with asyncio.timeout(20):
        while not closed("p"):
            await asyncio.sleep(0.01)
            gc.collect()

asyncio.run(main())
"""
    )
    assert marked(LATE, "late") <= set(outcome.wrote.lines("p", "late.py"))
    left = outcome.wrote.of_kind("p", "left")
    assert bool(left) == (kind != "deadline")
    assert outcome.wrote.unclosed("p") == []


def test_an_error_that_somebody_keeps_keeps_no_request_open(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
kept = []

async def refused(message):
    raise OSError("the client has gone")

async def fails(scope, receive, send):
    raise KeyError("app")

async def sends(scope, receive, send):
    await send(app.START)

with playtrace_agent.trace("outer"):
    # By hand: a loop that raises keeps its context, with us or without.
    for args in [(fails, None, None), (sends, None, refused)]:
        try:
            trace(args[0])(scope("p"), *args[1:]).send(None)
        except (KeyError, OSError) as error:
            kept.append(error)
assert [type(error) for error in kept] == [KeyError, OSError]
"""
    )
    for slug in ("p", "outer"):
        assert outcome.wrote.of_kind(slug, "left") == [] == outcome.wrote.unclosed(slug), slug


def test_a_server_may_answer_with_any_awaitable_and_an_app_may_make_tasks_of_it(app: Workspace) -> None:
    app.run(
        HARNESS
        + """
import inspect

class Awaitable:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "answer"

def receive():
    return asyncio.get_running_loop().run_in_executor(None, lambda: "received")

async def uses(scope, receive, send):
    assert inspect.iscoroutinefunction(receive) and inspect.iscoroutinefunction(send)
    assert await asyncio.create_task(receive()) == "received"
    assert await asyncio.wait_for(send("anything"), 1) == "answer"
    return "done"

class Uses:
    def __call__(self, scope, receive, send):
        return asyncio.ensure_future(uses(scope, receive, send))

async def main():
    assert await trace(uses)(scope("p"), receive, lambda message: Awaitable()) == "done"
    assert await trace(Uses())(scope("p"), receive, lambda message: Awaitable()) == "done"

asyncio.run(main())
"""
    )


def test_who_looks_where_a_task_waits_sees_through_the_middleware(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def main():
    task = asyncio.create_task(trace(app.waits)(scope("p"), None, None))
    await asyncio.sleep(0)
    names, coroutine = [], task.get_coro()
    while hasattr(coroutine, "cr_frame"):
        names.append(coroutine.cr_code.co_name)
        coroutine = coroutine.cr_await
    print(*names)
    task.cancel()
    await asyncio.wait([task])

asyncio.run(main())
"""
    )
    assert outcome.out.split() == ["__call__", "waits", "wait"]


def test_loops_in_threads_of_their_own_run_side_by_side(app: Workspace) -> None:
    app.write(
        "side.py",
        "import asyncio\n\n\nasync def app(scope, receive, send):\n    for _ in range(50):\n"
        "        await asyncio.sleep(0)\n        globals()[scope['path'][1:]]()\n\n\n"
        + "\n\n".join(f"def p{n}():\n    return {n}  # p{n}\n" for n in range(8)),
    )
    outcome = app.run(
        HARNESS
        + """
import threading, side

sys.setswitchinterval(1e-5)
target = trace(side.app)

def run(names):
    async def main():
        await asyncio.gather(*(call(target, name, path="/" + name) for name in names))

    with asyncio.Runner() as runner:
        runner.run(main())

threads = [threading.Thread(target=run, args=([f"p{n}" for n in range(k, 8, 2)],)) for k in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    )
    source = (app.app / "side.py").read_text()
    for n in range(8):
        found = set(outcome.wrote.lines(f"p{n}", "side.py"))
        assert found == {5, 6, 7} | marked(source, f"p{n}"), n
        assert outcome.wrote.unclosed(f"p{n}") == [] == outcome.wrote.of_kind(f"p{n}", "left")


def test_the_sources_of_these_tests_mark_what_they_say() -> None:
    for word in ("plain", "broken", "waits", "echo"):
        assert marked(APP, word), word
    assert marked(textwrap.dedent(LATE), "late")


def test_a_cancelled_task_that_has_grown_old_keeps_no_request_open(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def cyclic(scope, receive, send):
    task = asyncio.create_task(app.waits(scope, receive, send))
    await asyncio.sleep(0)
    cycle = [task]
    cycle.append(cycle)
    # As the ends of other requests do.
    gc.collect(1)
    gc.collect(1)
    task.cancel()
    await asyncio.wait([task])

asyncio.run(trace(cyclic)(scope("p"), None, None))
"""
    )
    assert outcome.wrote.of_kind("p", "left") == [] == outcome.wrote.unclosed("p")
