"""The ASGI middleware, by ASGI 3: nothing changes but one header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asgi_harness import APP, HARNESS, marked

if TYPE_CHECKING:
    from conftest import Workspace


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
        ("'no/such'", "the character at position 3 can't stand in a profile's slug"),
        ("'p', run='a b'", "X-Profile-Trace-Run is not a run token"),
        ("'p', step='-1'", "X-Profile-Trace-Step is not a step"),
        ("'p', more=[(b'x-profile-trace', b'q')]", "the character at position 1 can't stand in a profile's slug"),
        ("'p' * 7000", "a profile's slug has at most 128 characters [PT-AGENT-001]"),
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
        # Nothing that a header holds.
        assert "no/such" not in exchange.status and "a b" not in exchange.status and "-1" not in exchange.status

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


def test_what_an_app_says_of_its_status_is_kept_and_a_middleware_within_says_nothing(app: Workspace) -> None:
    """An app that is mounted may hand the request on to another one. A middleware within finds the request opened."""
    app.run(
        HARNESS
        + """
async def elsewhere(scope, receive, send):
    headers = [(b"x-profile-trace-status", b"off; elsewhere")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

async def main():
    assert (await call(trace(elsewhere), "p")).status == "off; elsewhere"
    assert (await call(trace(trace(app.plain, refusal=lambda: "the inner one")), "p")).status == "on"
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
