"""What the native functions read from scopes and put into messages, against what Python makes of the same."""

from __future__ import annotations

import collections
import itertools
from types import MappingProxyType
from typing import Any

import pytest

from playtrace_agent import _native, asgi

SLUG, RUN, STEP = b"x-profile-trace", b"x-profile-trace-run", b"x-profile-trace-step"
SIGNATURE, STATUS = b"x-profile-trace-signature", b"x-profile-trace-status"

HEADERS = [
    [],
    [(b"host", b"x"), (b"x-profile-traces", b"p"), (STATUS, b"on"), (b"X-Profile-Trace", b"p")],
    [(RUN, b"r"), (STEP, b"1")],
    [(SLUG, b"p")],
    [(b"host", b"x"), (SLUG, b"p"), (RUN, b"r"), (STEP, b"2"), (SIGNATURE, b"v1=1,2,3"), (b"a", b"b")],
    [[SLUG, b"p"], [RUN, b""]],
    [(SLUG, b"p"), (SLUG, b"q"), (SLUG, b"s"), (RUN, b"r"), (RUN, b"r")],
    [(SLUG, bytes(range(256))), (RUN, "größe".encode())],
    [(SLUG, b"p" * 1000), (RUN, b"\xff" * 1000)],
]
REST: list[dict[str, Any]] = [
    {},
    {"method": "GET", "path": "/x", "client": ("192.0.2.1", 1)},
    {"method": None, "path": "/ä", "client": ["192.0.2.1", 1]},
    {"type": "websocket", "path": "", "client": None},
]


@pytest.mark.parametrize(("headers", "rest"), [*itertools.product(HEADERS, REST)])
def test_a_scope_is_read_as_python_reads_it(headers: Any, rest: dict[str, Any]) -> None:
    scope = {**rest, "headers": headers}
    assert _native.environ_of(scope) == asgi._environ(scope)


def test_a_scope_without_headers() -> None:
    assert _native.environ_of({"type": "lifespan"}) is None is asgi._environ({"type": "lifespan"})


@pytest.mark.parametrize("name", [SLUG, RUN, STEP, SIGNATURE])
def test_what_is_too_long_for_anything_is_not_read_to_its_end(name: bytes) -> None:
    asked = [] if name == SLUG else [(SLUG, b"p")]
    found = _native.environ_of({"headers": [*asked, (name, b"9" * 7000)]})
    assert found is not None
    assert found["HTTP_" + name.decode().upper().replace("-", "_")] == "9" * 1000


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "scope",
    [
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
    ],
)
def test_a_scope_of_other_types_is_left_to_python(scope: Any) -> None:
    assert _native.environ_of(scope) is NotImplemented


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
