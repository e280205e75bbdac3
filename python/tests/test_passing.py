"""The middleware's call and Flask's dispatching are native: what of that a program could see, or be harmed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from traffic import ALWAYS, by_route

if TYPE_CHECKING:
    from conftest import Workspace

APP = """
import sys


def frames():
    frame, found = sys._getframe(), []
    while frame:
        found.append(frame.f_code.co_filename)
        frame = frame.f_back
    return found


def app(environ, start_response):
    start_response("200 OK", [])
    if environ.get("PATH_INFO") == "/fails":
        raise KeyError("deep")
    return [f"{sum('playtrace_agent' in name for name in frames())} of ours".encode()]
"""

HARNESS = """
import copy, functools, inspect, pickle, sys, traceback
import apps
from playtrace_agent.wsgi import TraceMiddleware

traced = {"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "r"}


def call(app, environ):
    said = []
    body = app(environ, lambda status, headers, exc_info=None: said.extend(headers))
    content = b"".join(body).decode()
    getattr(body, "close", int)()
    return content, dict(said).get("X-Profile-Trace-Status")

"""


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    workspace.write("apps.py", APP)
    return workspace


def test_no_frame_of_ours_is_on_the_way(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
target = TraceMiddleware(apps.app)
print(*[call(target, dict(environ)) for environ in ({}, traced, traced, {})], sep="\\n")
for environ in ({"PATH_INFO": "/fails"}, {"PATH_INFO": "/fails", **traced}):
    try:
        target(environ, lambda *_: None)
    except KeyError as error:
        print([frame.name for frame in traceback.extract_tb(error.__traceback__)])
"""
    )
    plain, first, second, after, *failed = outcome.out.splitlines()
    assert (plain, second, after) == ("('0 of ours', None)", "('0 of ours', 'on')", "('0 of ours', None)")
    assert first == "('1 of ours', 'on')"
    assert failed == ["['<module>', 'app']"] * 2
    assert len([closed for closed in app.look().of_kind("p", "closed", "r") if closed["unit"]]) == 3
    assert app.look().unclosed("p", "r") == []


def test_the_middleware_is_a_class_as_it_was(app: Workspace) -> None:
    app.run(
        HARNESS
        + """
class Derived(TraceMiddleware):
    def __call__(self, environ, start_response):
        environ["derived"] = True
        return super().__call__(environ, start_response)


class Plain(TraceMiddleware):
    pass


before = TraceMiddleware.__call__
target = TraceMiddleware(apps.app)
now = TraceMiddleware.__call__
TraceMiddleware(target)
assert now is TraceMiddleware.__call__ and now is not before
assert (now.__name__, now.__qualname__, now.__module__, now.__doc__) == (
    before.__name__, before.__qualname__, before.__module__, before.__doc__)
assert now.__wrapped__ is before and inspect.signature(now) == inspect.signature(before)
assert inspect.getsource(now) == inspect.getsource(before)
assert pickle.loads(pickle.dumps(now)) is now and copy.copy(now) is now and copy.deepcopy(now) is now
now.note = 1
assert now.note == 1 and now.__dict__["note"] == 1
bound = target.__call__
assert inspect.ismethod(bound) and bound.__self__ is target and bound.__func__ is now
assert callable(target) and isinstance(target, TraceMiddleware) and "TraceMiddleware" in repr(target)
for way in (target, bound, functools.partial(now, target), Derived(apps.app), Plain(apps.app)):
    for environ, status in (({}, None), (traced, "on"), (traced, "on")):
        assert call(way, dict(environ))[1] == status
assert target(environ={}, start_response=lambda *_: None) == [b"1 of ours"]
target.app = lambda environ, start_response: [b"another"]
assert call(target, {}) == ("another", None) and call(target, dict(traced))[0] == "another"
for wrong in ((), ({},), ({}, None, None)):
    try:
        target(*wrong)
    except TypeError as error:
        assert "__call__()" in str(error), error
    else:
        raise AssertionError(wrong)
del target.app
for environ in ({}, dict(traced)):
    try:
        call(target, environ)
    except AttributeError as error:
        assert "app" in str(error)
    else:
        raise AssertionError(environ)
"""
    )
    assert app.look().unclosed("p", "r") == []


def test_one_that_was_made_before_the_agent_was_on_traces_nothing(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
import os

early = TraceMiddleware(apps.app)
os.environ["ENABLE_PROFILE_COVERAGE"] = "1"
late = TraceMiddleware(apps.app)
for target in (early, late):
    print([call(target, dict(environ))[1] for environ in ({}, traced, traced)])
""",
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    assert outcome.out == "[None, None, None]\n[None, 'on', 'on']\n"


def test_an_environ_of_another_class_is_asked_as_it_wants(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
class Environ(dict):
    def get(self, name, default=None):
        return traced.get(name) or super().get(name, default)


class Name(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        raise LookupError("compared")


target = TraceMiddleware(apps.app)
print(call(target, Environ()), call(target, Environ()), call(target, {"HTTP_X_PROFILE_TRACE": None}))
try:
    call(target, {Name("HTTP_X_PROFILE_TRACE"): "p"})
except LookupError as error:
    print(error)
"""
    )
    assert outcome.out == "('1 of ours', 'on') ('1 of ours', 'on') ('1 of ours', None)\ncompared\n"


def test_what_is_refused_later_is_refused_for_the_same_reasons(app: Workspace) -> None:
    """The first request is opened by Python code; these are not."""
    headers = [
        {"HTTP_X_PROFILE_TRACE": "../p"},
        {"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "_"},
        {"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_STEP": "one"},
        {"HTTP_X_PROFILE_TRACE": 7},
    ]
    begin = HARNESS + "target = TraceMiddleware(apps.app)\n"
    driver = f"for headers in {headers!r}:\n    print(call(target, headers)[1])\n"
    driver += "print(call(target, dict(traced))[1], file=sys.stderr)\n"
    natively = app.run(begin + "call(target, dict(traced))\n" + driver)
    plainly = app.run(begin + driver)
    assert natively.out == plainly.out
    assert natively.out.count("off; ") == len(headers)
    assert natively.err.count("not traced") == plainly.err.count("not traced") > 0
    assert natively.err.endswith("on\n")
    assert natively.wrote.unclosed("p", "r") == []


def test_a_log_that_is_asked_for_later_has_the_requests(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
import logging
target = TraceMiddleware(apps.app)
for _ in range(2):
    call(target, dict(traced))
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
call(target, dict(traced))

"""
    )
    assert outcome.out.count("header seen: profile p") == 1, outcome.out


def test_middlewares_within_each_other(app: Workspace) -> None:
    outcome = app.run(
        HARNESS
        + """
def depth(environ, start_response):
    start_response("200 OK", [])
    return [b"deep"]

target = depth
for _ in range(200):
    target = TraceMiddleware(target)
print(call(target, {}), call(target, dict(traced)), call(target, dict(traced)))

target = TraceMiddleware(lambda environ, start_response: target(environ, start_response))
for environ in ({}, dict(traced), dict(traced)):
    try:
        call(target, environ)
    except RecursionError:
        print("RecursionError")
"""
    )
    assert outcome.out.splitlines() == [
        "('deep', None) ('deep', 'on') ('deep', 'on')",
        *["RecursionError"] * 3,
    ]
    assert outcome.wrote.unclosed("p", "r") == []


FLASK = """
from flask import Flask, Request, request

application = Flask(__name__)
other = Flask("other")


@other.get("/")
def inner():
    within()
    return "inner"


def within():
    pass


@application.get("/<what>")
def view(what):
    if what == "nested":
        other.test_client().get("/")
        late()
    if what == "fails":
        raise KeyError("deep")
    if what == "exits":
        raise SystemExit
    return "ok"


def late():
    pass


@application.get("/next")
def following():
    return after()


def after():
    return "after"
"""


def test_a_request_within_a_request_and_what_follows_have_their_own_routes(workspace: Workspace) -> None:
    """Past the samples, what is entered for the first time is attributed natively."""
    workspace.write("app.py", FLASK)
    workspace.run(
        """
        import app
        from playtrace_agent.flask import init_app

        init_app(app.application)
        client, inner = app.application.test_client(), app.other.test_client()
        for _ in range(9):
            assert client.get("/plain").data == b"ok"
            assert inner.get("/").data == b"inner"
        original = app.Flask.full_dispatch_request.__wrapped__
        assert original.__name__ == "full_dispatch_request" and not hasattr(original, "__wrapped__")
        app.application.config["PROPAGATE_EXCEPTIONS"] = True
        client.get("/nested")
        for path, kind in (("/fails", KeyError), ("/exits", SystemExit)):
            try:
                client.get(path)
            except kind:
                pass
            else:
                raise AssertionError(path)
        # Behind the end of the request, the thread has no route.
        app.after()
        """,
        env=ALWAYS,
    )
    found = by_route(workspace)
    assert "late" in found["GET /<what>"]
    assert all("after" not in functions for functions in found.values())


@pytest.mark.parametrize(
    ("raised", "served"), [("ValueError", True), ("AttributeError", True), ("KeyboardInterrupt", False)]
)
def test_a_request_whose_attributes_raise(workspace: Workspace, raised: str, served: bool) -> None:
    workspace.write("app.py", FLASK)
    outcome = workspace.run(
        f"""
        import app
        from playtrace_agent.flask import init_app


        class Odd(app.Request):
            @property
            def method(self):
                if self.odd:
                    self.odd = False
                    raise {raised}("odd")
                return "GET"

            @method.setter
            def method(self, value):
                self.odd = False


        init_app(app.application)
        app.application.request_class = Odd
        client = app.application.test_client()
        for _ in range(3):
            assert client.get("/plain").data == b"ok"
        before = app.application.before_request_funcs
        dispatch = app.Flask.full_dispatch_request


        class Again(app.Flask):
            def full_dispatch_request(self):
                app.request.odd = True
                return dispatch(self)


        app.application.__class__ = Again
        try:
            print(client.get("/plain").data)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        env=ALWAYS,
    )
    assert outcome.out == ("b'ok'\n" if served else "interrupted\n")


@pytest.mark.parametrize("path", ["/waits", "/waits-traced"])
def test_a_daemon_thread_in_a_view_ends_with_the_interpreter(workspace: Workspace, path: str) -> None:
    workspace.write("app.py", FLASK)
    workspace.run(
        f"""
        import threading, time
        import app
        from playtrace_agent.flask import init_app

        begun = threading.Semaphore(0)


        @app.application.get("/waits/<int:soon>")
        def waits(soon):
            begun.release()
            while not soon:
                time.sleep(0.0001)
            return "ok"


        init_app(app.application)
        client = app.application.test_client()
        headers = {{"X-Profile-Trace": "p"}} if "{path}" == "/waits-traced" else {{}}
        for _ in range(9):
            client.get("/waits/1", headers=headers)
            begun.acquire()
        threading.Thread(target=client.get, args=["/waits/0"], kwargs={{"headers": headers}}, daemon=True).start()
        begun.acquire()
        """,
        env=ALWAYS,
    )
