"""The ASGI middleware, by ASGI 3: nothing changes but one header, and each piece is credited to its request."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

#: What drivers import: a server as simple as can be.
HARNESS = """
import asyncio, contextlib, contextvars, gc, logging, sys
import playtrace_agent, playtrace_agent.asgi
from playtrace_agent import _native
import app

trace = playtrace_agent.asgi.TraceMiddleware


def scope(slug=None, path="/x", kind="http", run=None, step=None, more=()):
    headers = [(b"host", b"x")]
    for name, value in ((b"", slug), (b"-run", run), (b"-step", step)):
        if value is not None:
            headers.append((b"x-profile-trace" + name, value.encode("latin-1")))
    found = {"type": kind, "path": path, "headers": [*headers, *more]}
    return {**found, "method": "GET"} if kind == "http" else found


class Exchange:
    def __init__(self, messages=()):
        self.messages = list(messages)
        self.sent = []
        self.held = set()

    async def receive(self):
        self.held.add(_native.held())
        await asyncio.sleep(0)
        self.held.add(_native.held())
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    async def send(self, message):
        self.held.add(_native.held())
        await asyncio.sleep(0)
        self.held.add(_native.held())
        self.sent.append(message)

    @property
    def status(self):
        found = [value for name, value in self.sent[0]["headers"] if name == b"x-profile-trace-status"]
        assert len(found) < 2, found
        return found[0].decode() if found else None


async def call(target, *args, messages=(), **kwargs):
    exchange = Exchange(messages)
    await target(scope(*args, **kwargs), exchange.receive, exchange.send)
    return exchange
"""

APP = """
import asyncio

START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}


async def plain(scope, receive, send):
    await asyncio.sleep(0)
    await send(START)
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    after()
    await send({"type": "http.response.body", "body": b""})
    background()


def after():
    return 1  # plain


def background():
    return 2  # plain


async def broken(scope, receive, send):
    await asyncio.sleep(0)
    raise KeyError("app")  # broken


async def waits(scope, receive, send):
    try:
        await asyncio.Event().wait()
    finally:
        cleaned()


def cleaned():
    return 3  # waits


async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": said()})
    left()


def said():
    return "said"  # echo


def left():
    return 4  # echo
"""


def marked(source: str, word: str) -> set[int]:
    """Return the numbers of the lines that end with a comment."""
    return {number for number, line in enumerate(source.lstrip("\n").splitlines(), 1) if line.endswith(f"# {word}")}


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    workspace.write("app.py", APP)
    return workspace


def test_a_request_is_traced_from_its_call_to_its_return(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def main():
    target = trace(app.plain)
    exchange = await call(target, "p", run="r", step="7")
    assert exchange.status == "on"
    assert app.START == {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}, "the app's own"
    assert [message["type"][14:] for message in exchange.sent] == ["start", "body", "body"]
    # What the server does is nobody's, and so is what comes afterwards.
    assert not any(isinstance(held, _native.Token) for held in exchange.held)
    assert playtrace_agent.current_slug() is None
    assert (await call(target)).status is None

asyncio.run(main())
"""
    )
    wrote = outcome.wrote
    assert marked(APP, "plain") <= set(wrote.lines("p", "app.py"))
    [opened] = wrote.of_kind("p", "open", "r")
    assert (opened["kind"], opened["step"], opened["what"]) == ("request", 7, "GET /x")
    assert wrote.unclosed("p", "r") == [] == wrote.of_kind("p", "left", "r")


def test_a_websocket_is_one_unit_and_says_so_when_it_is_accepted(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
async def main():
    messages = [{"type": "websocket.connect"}, {"type": "websocket.receive"}, {"type": "websocket.receive"},
                {"type": "websocket.disconnect"}]
    exchange = await call(trace(app.echo), "p", path="/talk", kind="websocket", messages=messages)
    assert exchange.status == "on"
    assert [message.get("text") for message in exchange.sent] == [None, "said", "said"]

asyncio.run(main())
"""
    )
    assert marked(APP, "echo") <= set(outcome.wrote.lines("p", "app.py"))
    assert [record["what"] for record in outcome.wrote.of_kind("p", "open")] == ["WS /talk"]
    assert outcome.wrote.unclosed("p") == []


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("'no/such'", "'/' can't stand at position 3"),
        ("'p', run='a b'", "a b"),
        ("'p', step='-1'", "'-1' is not a step"),
        ("'p', more=[(b'x-profile-trace', b'q')]", "',' can't stand at position 2"),
        ("'p\\xe9'", ""),
    ],
)
def test_a_header_that_makes_no_sense_is_refused_once_and_the_app_answers(
    app: Workspace, headers: str, reason: str
) -> None:
    outcome = app.run(
        HARNESS
        + f"""
logging.basicConfig(level=logging.WARNING, format="LOG %(levelname)s %(message)s")

async def main():
    target = trace(app.plain)
    for _ in range(2):
        exchange = await call(target, {headers})
        assert exchange.status.startswith("off; ") and {reason!r} in exchange.status, exchange.status
        assert exchange.status.isascii() and len(exchange.sent) == 3

asyncio.run(main())
"""
    )
    logged = [line for line in outcome.err.splitlines() if line.startswith("LOG ")]
    assert len(logged) == 1, outcome.err
    assert logged[0].startswith("LOG WARNING not traced: GET /x: ")
    assert outcome.wrote.shards() == []


def test_what_refuses_is_asked_until_it_has_nothing_to_say(app: Workspace) -> None:
    app.run(
        HARNESS
        + """
async def main():
    reasons = ["not yet", None]
    target = trace(app.plain, refusal=lambda: reasons.pop(0))
    assert [(await call(target, "p")).status for _ in range(3)] == ["off; not yet", "on", "on"]

asyncio.run(main())
"""
    )


def test_the_status_of_a_mounted_app_with_a_middleware_of_its_own_is_kept(app: Workspace) -> None:
    app.run(
        HARNESS
        + """
async def main():
    assert (await call(trace(trace(app.plain, refusal=lambda: "the inner one")), "p")).status == "off; the inner one"
    assert (await call(trace(trace(app.plain)), "p")).status == "on"

asyncio.run(main())
"""
    )


def test_lifespan_and_what_carries_no_header_pass(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
seen = []

async def noted(scope, receive, send):
    seen.append((scope, receive, send))
    return "answer"

async def main():
    target = trace(noted)
    for args in [({"type": "lifespan"}, 1, 2), (scope(), 3, 4), ({"type": "unknown", "headers": None}, 5, 6)]:
        assert await target(*args) == "answer"
        assert seen.pop() == args

asyncio.run(main())
assert asyncio.iscoroutinefunction(trace(noted).__call__) if sys.version_info < (3, 14) else True
"""
    )
    assert outcome.wrote.shards() == []


def test_where_the_agent_is_off_the_app_stays_as_it_is_and_nothing_native_is_loaded(workspace: Workspace) -> None:
    workspace.run(
        """
        import sys
        import playtrace_agent.asgi


        async def app(scope, receive, send):
            return scope


        assert playtrace_agent.asgi.wrap(app) is app
        try:
            playtrace_agent.asgi.TraceMiddleware(app)({"headers": [(b"x-profile-trace", b"p")]}, 1, 2).send(None)
        except StopIteration as end:
            assert end.value["headers"]
        assert "playtrace_agent._native" not in sys.modules and "asyncio" not in sys.modules
        """,
        env={"ENABLE_PROFILE_COVERAGE": None},
    )


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


HEADERS = """
def made():
    yield b"a", b"b"  # headers


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": made()})
"""


def test_headers_that_code_makes_are_work_of_the_request(app: Workspace) -> None:
    app.write("headers.py", HEADERS)
    outcome = app.run(
        HARNESS
        + """
import headers

async def main():
    exchange = await call(trace(headers.app), "p")
    assert exchange.sent[0]["headers"] == [(b"a", b"b"), (b"x-profile-trace-status", b"on")]

asyncio.run(main())
"""
    )
    assert marked(HEADERS, "headers") <= set(outcome.wrote.lines("p", "headers.py"))


@pytest.mark.parametrize("slug", ["p", "no/such"])
@pytest.mark.parametrize("headers", ["5", "[1]", "[('a', 'b', 'c')]", "[(1, 2)]"])
def test_what_is_wrong_with_headers_is_for_the_server_to_say(app: Workspace, headers: str, slug: str) -> None:
    app.run(
        HARNESS
        + f"""
messages = [{{"type": "http.response.start", "headers": {headers}}}, None, "text", {{}}]

async def wrong(scope, receive, send):
    for message in messages:
        await send(message)

async def main():
    exchange = await call(trace(wrong), {slug!r})
    assert all(sent is message for sent, message in zip(exchange.sent, messages, strict=True)), exchange.sent

asyncio.run(main())
"""
    )
