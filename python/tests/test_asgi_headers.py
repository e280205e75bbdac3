"""What the native functions read from scopes and put into messages, against what Python makes of the same."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from signing import SECRET

from playtrace_agent import _native, asgi

if TYPE_CHECKING:
    from conftest import Workspace

STATUS = b"x-profile-trace-status"

#: Opens each request twice: natively, and as what Python makes of its scope.
DRIVER = r"""
import json, sys
from types import MappingProxyType
import collections
from playtrace_agent import _native, asgi, runtime, units
from signing import headers

assert runtime.start("web")
SLUG, RUN, STEP = b"x-profile-trace", b"x-profile-trace-run", b"x-profile-trace-step"
SIGNATURE, STATUS = b"x-profile-trace-signature", b"x-profile-trace-status"
numbers = iter(range(1_000_000))


def signed(slug, run):
    # Each is good once only.
    found = headers(slug, run, str(next(numbers)))
    return [(name.lower().encode(), value.encode()) for name, value in found.items()]


HEADERS = [
    lambda: [],
    lambda: [(b"host", b"x"), (b"x-profile-traces", b"p"), (STATUS, b"on"), (b"X-Profile-Trace", b"p")],
    lambda: [(RUN, b"r"), (STEP, b"1")],
    lambda: [(SLUG, b"p")],
    lambda: [(b"host", b"x"), (SLUG, b"p"), (RUN, b"r"), (STEP, b"2"), (SIGNATURE, b"v1=1,2,3"), (b"a", b"b")],
    lambda: [(b"host", b"x"), *signed("p", "r"), (b"a", b"b")],
    lambda: [[SLUG, b"p"], [RUN, b""]],
    lambda: [[name, value] for name, value in signed("q", "r")],
    lambda: [(SLUG, b"p"), (SLUG, b"q"), (SLUG, b"s"), (RUN, b"r"), (RUN, b"r")],
    lambda: [*signed("p", "r"), (RUN, b"r")],
    lambda: [*signed("p", "r"), (STEP, b"1")],
    lambda: [*signed("p", "r"), (SIGNATURE, b"v1=1")],
    lambda: [(SLUG, bytes(range(256))), (RUN, "größe".encode())],
    lambda: [(SLUG, b"\xc3\xa4")],
    lambda: [(SLUG, b"p"), (RUN, b"\xff")],
    lambda: [(SLUG, b"p"), (STEP, b"-1")],
    lambda: [(SLUG, b"p"), (SIGNATURE, b"\xff\xfe")],
    lambda: [(SLUG, b"p" * 7000)],
    lambda: [(SLUG, b"p"), (RUN, b"9" * 7000)],
    lambda: [(SLUG, b"p"), (STEP, b"9" * 7000)],
    lambda: [(SLUG, b"p"), (SIGNATURE, b"9" * 7000)],
]
REST = [
    {},
    {"method": "GET", "path": "/x", "client": ("192.0.2.1", 1)},
    {"method": None, "path": "/\u00e4" * 200, "client": ["192.0.2.1", 1]},
    {"method": "PUT", "path": "/\ud800", "client": ("203.0.113.1", 1)},
    {"type": "websocket", "path": "", "client": None},
    {"type": "websocket", "path": None},
    {"client": (5, 1)},
]


def natively(scope):
    return _native.open_scope(scope)


def in_python(scope):
    environ = asgi._environ(scope)
    if environ is None:
        return None
    first, second = _native.open_request(environ["HTTP_X_PROFILE_TRACE"], environ)
    if isinstance(first, int):
        return first, b"on", int(second)
    return None, b"off; " + first.encode(), second


def opened(way, make, rest):
    found = way({**rest, "headers": make()})
    if found is None or found is NotImplemented:
        return repr(found)
    unit, status, _ = found
    if unit is not None:
        units.end(unit)
    return f"{unit is not None} {status.decode()}"


made = [[opened(way, make, rest) for way in (natively, in_python)] for make in HEADERS for rest in REST]


class Text(str):
    __slots__ = ()


OTHERS = [
    MappingProxyType({"headers": [(SLUG, b"p")]}),
    collections.OrderedDict(headers=[(SLUG, b"p")]),
    {"headers": ((SLUG, b"p"),)},
    {"headers": None},
    {"headers": iter([(SLUG, b"p")])},
    {"headers": [(SLUG, b"p", b"more")]},
    {"headers": [(SLUG, "p")]},
    {"headers": [(bytearray(SLUG), b"p")]},
    {"headers": [b"ab"]},
    {"headers": [(SLUG, b"p")], "path": Text("/x")},
    {"headers": [(SLUG, b"p")], "method": 1},
    {"headers": [(SLUG, b"p")], "client": "unix:"},
    {"headers": [(SLUG, b"p")], "client": ()},
]
others = [repr(_native.open_scope(scope)) for scope in OTHERS]
print(json.dumps([made, others, repr(_native.open_scope({"type": "lifespan"}))]))
"""


@pytest.mark.parametrize(
    "limit",
    [{}, {"PROFILE_TRACE_SECRET": SECRET}, {"PROFILE_TRACE_ALLOW": "192.0.2.0/24"}],
    ids=["open", "secret", "networks"],
)
def test_a_scope_is_opened_as_its_environ_is(workspace: Workspace, limit: dict[str, str]) -> None:
    env: dict[str, str | None] = {**limit, "PYTHONPATH": str(Path(__file__).parent)}
    outcome = workspace.run(DRIVER, env=env)
    made, others, lifespan = json.loads(outcome.out)
    assert all(natively == in_python for natively, in_python in made), made
    answers = {answer for answer, _ in made}
    assert {"None", "True on"} < answers, answers
    refused = {answer[-13:-1] for answer in answers if "off" in answer}
    assert refused >= {"PT-AGENT-001", "PT-AGENT-002", "PT-AGENT-006"}
    assert bool(limit) == any(code.startswith("PT-GRANT") for code in refused)
    # The same requests, the same steps of the same runs, each by both ways.
    records = workspace.look().records
    units = Counter(
        (slug, run, record["what"], "step" in record)
        for slug, run in itertools.product("pq", "r_")
        for record in records(slug, run)
        if "what" in record
    )
    assert units
    assert all(times % 2 == 0 for times in units.values()), units
    # What has other types is left to Python.
    assert set(others) == {"NotImplemented"}
    assert lifespan == "None"


MESSAGES: list[dict[str, Any]] = [
    {"type": kind, "status": 200, "headers": headers}
    for kind in ("http.response.start", "websocket.accept", "websocket.http.response.start", "http.response.body")
    for headers in ([], [(b"a", b"b"), [b"c", b"d"]], [(STATUS, b"on")], [(b"X-Profile-Trace-Status", b"off")])
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_added_to_as_python_does(message: dict[str, Any]) -> None:
    before, headers = {**message}, [*message["headers"]]
    made = _native.with_status(message, b"off; why")
    assert made == asgi._with_status_of(message, b"off; why")
    assert message == before, "the app's own"
    assert message["headers"] == headers
    if message["type"] == "http.response.body":
        assert made is message
    else:
        assert made["headers"] is not message["headers"]
        assert sum(name.lower() == STATUS for name, _ in made["headers"]) == 1


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        MappingProxyType({"type": "http.response.start"}),
        {"type": 5},
        {"type": "http.response.start"},
        {"type": "http.response.start", "headers": ((b"a", b"b"),)},
        {"type": "http.response.start", "headers": [("a", b"b")]},
        {"type": "http.response.start", "headers": [(b"a",)]},
    ],
)
def test_a_message_of_other_types_is_left_to_python(message: Any) -> None:
    assert _native.with_status(message, b"on") is NotImplemented
