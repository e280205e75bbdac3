"""The middleware, by PEP 3333: nothing changes but one header."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

HARNESS = """
import io, sys
from wsgiref.util import FileWrapper
from wsgiref.validate import validator
import playtrace_agent, playtrace_agent.wsgi
import bodies


def call(app, slug=None, validate=False, **environ):
    seen = {}

    def start_response(status, headers, exc_info=None):
        seen.update(status=status, headers=dict(headers), exc_info=exc_info)
        return lambda data: seen.setdefault("written", []).append(data)

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "wsgi.file_wrapper": FileWrapper, **environ}
    if slug is not None:
        environ["HTTP_X_PROFILE_TRACE"] = slug
    if validate:
        environ |= {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.version": (1, 0), "wsgi.input": io.BytesIO(),
                    "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": False,
                    "wsgi.run_once": False, "wsgi.url_scheme": "http", "SCRIPT_NAME": "", "QUERY_STRING": ""}
        app = validator(app)
    return app(environ, start_response), seen


def status(seen):
    return seen["headers"].get("X-Profile-Trace-Status")


wrap = playtrace_agent.wsgi.TraceMiddleware
"""

BODIES = """
from wsgiref.util import FileWrapper


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"list"]


def streamed(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body()


class Body:
    closed = 0

    def __init__(self):
        self.left = 3

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"x"

    def close(self):
        Body.closed += 1


def lazy(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"lazy"
    yield tail()


def tail():
    return b"tail"


def file(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def broken(environ, start_response):
    raise KeyError("app")


def breaks_late(environ, start_response):
    start_response("200 OK", [])
    yield b"a"
    raise KeyError("late")


def recovers(environ, start_response):
    import sys
    try:
        raise KeyError("x")
    except KeyError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"oops"]
"""


@pytest.fixture
def bodies(workspace: Workspace) -> Workspace:
    workspace.write("bodies.py", BODIES)
    return workspace


def test_bodies_come_through_unchanged(bodies: Workspace) -> None:
    outcome = bodies.run(
        HARNESS
        + """
body, seen = call(wrap(bodies.plain), "plain")
assert body == [b"list"] and status(seen) == "on", (body, seen)

body, seen = call(wrap(bodies.streamed), "streamed")
assert status(seen) == "on" and not isinstance(body, bodies.Body)
assert list(body) == [b"x"] * 3
body.close()
body.close()
assert bodies.Body.closed == 1

body, seen = call(wrap(bodies.lazy), "lazy")
assert seen == {}, "the app has not run yet"
assert b"".join(body) == b"lazytail"
body.close()

bodies.Body.close, close = None, bodies.Body.close
body, seen = call(wrap(bodies.streamed), "closes-nothing")
assert list(body) == [b"x"] * 3
body.close()
bodies.Body.close = close

body, seen = call(wrap(bodies.file), "file")
assert type(body) is FileWrapper and status(seen) == "on"
body.close()

body, seen = call(wrap(bodies.recovers), "recovers")
assert seen["status"] == "500 Oops" and seen["exc_info"][0] is KeyError and status(seen) == "on"

for app, slug in [(bodies.plain, "v1"), (bodies.streamed, "v2"), (bodies.lazy, "v3")]:
    body, seen = call(wrap(app), slug, validate=True)
    list(body)
    body.close()
    assert status(seen) == "on"
"""
    )
    wrote = outcome.wrote
    for slug in ("plain", "streamed", "closes-nothing", "lazy", "file", "recovers", "v1", "v2", "v3"):
        assert wrote.unclosed(slug) == [], slug
        assert len(wrote.of_kind(slug, "closed")) == 1, slug
    source = BODIES.lstrip("\n").splitlines()
    assert source.index('    return b"tail"') + 1 in wrote.lines("lazy", "bodies.py")
    assert source.index("        Body.closed += 1") + 1 in wrote.lines("streamed", "bodies.py")


MADE_BY_CODE = """
import io


class Lazy(list):
    def __iter__(self):
        for piece in list.__iter__(self):
            yield piece * 2  # lazy

    def close(self):
        self.clear()  # lazy


class File:
    left = 2

    def read(self, size=-1):
        self.left -= 1  # file
        return b"x" if self.left >= 0 else b""

    def close(self):
        self.left = 0  # file


class WithDescriptor(File):
    def fileno(self):
        return 0  # fileno

    def read(self, size=-1):
        return super().read(size)  # fileno

    def close(self):
        self.left = 0  # fileno


class Sized:
    def __len__(self):
        return 1  # sized

    def __iter__(self):
        yield b"xx"  # sized


class Raw(io.RawIOBase):
    left = 2

    def readable(self):
        return True

    def readinto(self, buffer):
        self.left -= 1  # raw
        return max(self.left, 0)


class Closing(io.FileIO):
    def close(self):
        super().close()  # buffered


def app(environ, start_response):
    start_response("200 OK", [])
    wrapper = environ["wsgi.file_wrapper"]
    return {
        "/lazy": lambda: Lazy([b"x"]),
        "/sized": Sized,
        "/file": lambda: wrapper(File()),
        "/fileno": lambda: wrapper(WithDescriptor()),
        "/raw": lambda: wrapper(io.BufferedReader(Raw())),
        "/buffered": lambda: wrapper(io.BufferedReader(Closing("bodies.py"))),
        "/bytes": lambda: wrapper(io.BytesIO(b"xx")),
    }[environ["PATH_INFO"]]()
"""


@pytest.mark.parametrize(
    ("what", "passes"),
    [
        ("lazy", False),
        ("sized", False),
        ("file", True),
        ("raw", True),
        ("fileno", True),
        ("buffered", True),
        ("bytes", True),
    ],
)
def test_a_body_that_code_makes_is_traced_whatever_wraps_it(workspace: Workspace, what: str, passes: bool) -> None:
    workspace.write("bodies.py", MADE_BY_CODE)
    outcome = workspace.run(
        HARNESS
        + f"""
body, seen = call(wrap(bodies.app), "p", PATH_INFO="/{what}")
assert status(seen) == "on"
try:
    # For `sendfile`.
    body.filelike.fileno()
except (AttributeError, io.UnsupportedOperation):
    pass
print(type(body).__name__, len(body) if hasattr(body, "__len__") else "-", len(b"".join(body)))
if hasattr(body, "close"):
    body.close()
"""
    )
    name, pieces, length = outcome.out.split()
    assert (name == "FileWrapper") == passes
    assert pieces == {"lazy": "1", "sized": "1"}.get(what, "-")
    assert int(length) == {"raw": 1, "buffered": len(MADE_BY_CODE.lstrip("\n"))}.get(what, 2)
    source = MADE_BY_CODE.lstrip("\n").splitlines()
    wanted = {number for number, line in enumerate(source, 1) if line.endswith(f"# {what}")}
    assert wanted <= set(outcome.wrote.lines("p", "bodies.py"))
    assert wanted or what == "bytes"
    assert outcome.wrote.unclosed("p") == []


def test_a_server_sees_its_own_wrapper_whatever_that_calls_the_file(workspace: Workspace) -> None:
    workspace.write("bodies.py", MADE_BY_CODE)
    outcome = workspace.run(
        HARNESS
        + """
import gc, weakref
gc.disable()


class Wrapper:
    # As waitress has it.
    def __init__(self, file):
        self.file = file

    def __iter__(self):
        return iter(lambda: self.file.read(1), b"")

    def close(self):
        self.file.close()


for what in ("file", "fileno"):
    body, seen = call(wrap(bodies.app), what, **{"wsgi.file_wrapper": Wrapper, "PATH_INFO": "/" + what})
    assert type(body) is Wrapper and list(body) == [b"x"] * 2
    body.close()
    gone = weakref.ref(body)
    del body
    assert gone() is None
"""
    )
    source = MADE_BY_CODE.lstrip("\n").splitlines()
    lines = {what: {n for n, line in enumerate(source, 1) if line.endswith(f"# {what}")} for what in ("file", "fileno")}
    asked = {number for number, line in enumerate(source, 1) if "return 0  # fileno" in line}
    assert lines["file"] <= set(outcome.wrote.lines("file", "bodies.py"))
    assert lines["fileno"] - asked <= set(outcome.wrote.lines("fileno", "bodies.py"))
    assert outcome.wrote.unclosed("file") == outcome.wrote.unclosed("fileno") == []


def test_what_is_left_of_a_sized_body_is_not_counted(workspace: Workspace) -> None:
    workspace.write(
        "bodies.py",
        """
        class Uncounted:
            def __len__(self):
                raise RuntimeError("it takes a database to count them")

            def __iter__(self):
                yield b"x"


        def app(environ, start_response):
            start_response("200 OK", [])
            return Uncounted()
        """,
    )
    workspace.run(
        HARNESS
        + """
body, seen = call(wrap(bodies.app), "p")
assert list(iter(body)) == [b"x"]
body.close()
"""
    )


def test_what_starts_a_response_takes_names(workspace: Workspace) -> None:
    """PEP 3333 has no names for its arguments, but every server has the same."""
    workspace.write(
        "bodies.py",
        """
        def app(environ, start_response):
            start_response(status="200 OK", headers=[], exc_info=None)
            return []
        """,
    )
    workspace.run(
        HARNESS
        + """
body, seen = call(wrap(bodies.app), "p")
assert status(seen) == "on"
"""
    )


def test_errors_of_the_app_come_through_and_close_the_unit(bodies: Workspace) -> None:
    outcome = bodies.run(
        HARNESS
        + """
try:
    call(wrap(bodies.broken), "broken")
except KeyError as error:
    print(error)
body, seen = call(wrap(bodies.breaks_late), "late")
try:
    list(body)
except KeyError as error:
    print(error)
body.close()
assert playtrace_agent.current_slug() is None
"""
    )
    assert outcome.out == "'app'\n'late'\n"
    assert outcome.wrote.unclosed("broken") == []
    assert outcome.wrote.unclosed("late") == []


def test_a_body_that_its_server_forgot_is_closed_with_it(bodies: Workspace) -> None:
    outcome = bodies.run(
        HARNESS
        + """
body, seen = call(wrap(bodies.streamed), "forgotten")
next(body)
del body
assert bodies.Body.closed == 1
"""
    )
    assert outcome.wrote.unclosed("forgotten") == []


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"HTTP_X_PROFILE_TRACE": "../x"}, "slug"),
        ({"HTTP_X_PROFILE_TRACE": ""}, "slug"),
        ({"HTTP_X_PROFILE_TRACE": "a" * 129}, "slug"),
        ({"HTTP_X_PROFILE_TRACE": "\xff\nX: y"}, "slug"),
        ({"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "_"}, "run token"),
        ({"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "a/../b"}, "run token"),
        ({"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_STEP": "-1"}, "step"),
        ({"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_STEP": "one"}, "step"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(bodies: Workspace, headers: dict[str, str], reason: str) -> None:
    outcome = bodies.run(
        HARNESS
        + f"""
import os
before = sorted(os.walk({str(bodies.root)!r}))
body, seen = call(wrap(bodies.plain), **{headers!r})
print(body, status(seen))
"""
    )
    assert outcome.out.startswith("[b'list'] off; ")
    assert reason in outcome.out
    assert outcome.wrote.shards() == []
    assert sorted(path.name for path in (bodies.data / ".playtrace").iterdir()) == [".boot"]


def test_the_step_and_the_request_are_in_the_ledger(bodies: Workspace) -> None:
    outcome = bodies.run(
        HARNESS
        + """
call(wrap(bodies.plain), "p", HTTP_X_PROFILE_TRACE_RUN="r-1", HTTP_X_PROFILE_TRACE_STEP="12")
"""
    )
    [opened] = outcome.wrote.of_kind("p", "open", "r-1")
    assert (opened["step"], opened["kind"], opened["what"]) == (12, "request", "GET /x")
    [closed] = outcome.wrote.of_kind("p", "closed", "r-1")
    assert closed["shard"] == outcome.wrote.shards("p")[0].name


def test_a_request_without_the_header_is_the_apps_alone(bodies: Workspace) -> None:
    outcome = bodies.run(
        HARNESS
        + """
body, seen = call(wrap(bodies.plain))
assert body == [b"list"] and seen["headers"] == {"Content-Type": "text/plain"}
assert [sys.monitoring.get_tool(n) for n in range(6)] == [None] * 6
"""
    )
    assert outcome.wrote.shards() == []


def test_off_means_nothing_is_there(bodies: Workspace) -> None:
    bodies.run(
        """
import sys, threading, os, subprocess
from concurrent.futures import ThreadPoolExecutor
from flask import Flask

before = (threading.Thread.start, os._exit, os.execv, subprocess.Popen.__init__, ThreadPoolExecutor.submit)
import playtrace_agent, playtrace_agent.flask, playtrace_agent.rq, playtrace_agent.wsgi
app = Flask("x")
original = app.wsgi_app
playtrace_agent.flask.init_app(app)
playtrace_agent.rq.install()
with playtrace_agent.trace("p"):
    assert playtrace_agent.current_slug() is None
playtrace_agent.flush()
assert app.wsgi_app == original
assert before == (threading.Thread.start, os._exit, os.execv, subprocess.Popen.__init__, ThreadPoolExecutor.submit)
assert "playtrace_agent._native" not in sys.modules
assert "rq" not in sys.modules
""",
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    assert not bodies.data.exists()


def test_the_older_middleware_is_noticed(workspace: Workspace) -> None:
    workspace.write("wepp/__init__.py", "")
    workspace.write("wepp/middleware/__init__.py", "")
    workspace.write("wepp/middleware/profile_coverage.py", "def start():\n    return None\n")
    outcome = workspace.run(
        """
        import logging
        from flask import Flask
        import playtrace_agent.flask
        from wepp.middleware import profile_coverage

        logging.basicConfig(level=logging.WARNING)
        app = Flask("x")
        app.route("/")(lambda: "hello")
        playtrace_agent.flask.init_app(app)
        playtrace_agent.flask.init_app(app)
        client = app.test_client()
        print(client.get("/", headers={"X-Profile-Trace": "p"}).headers["X-Profile-Trace-Status"])
        app = Flask("y")
        app.route("/")(lambda: "hello")
        app.before_request(profile_coverage.start)
        playtrace_agent.flask.init_app(app)
        print(app.test_client().get("/", headers={"X-Profile-Trace": "p"}).headers["X-Profile-Trace-Status"])
        """
    )
    first, second = outcome.out.splitlines()
    assert first == "on"
    assert second.startswith("off; the older coverage middleware wepp.middleware.profile_coverage is active")
    assert outcome.err.count("older coverage middleware") == 1


CYCLES = """
    import gc, sys
    import playtrace_agent.wsgi


    class Body:
        def __init__(self):
            self.pieces = iter([b"a", b"b"])

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.pieces)

        def close(self):
            print("closed", list(self.pieces))


    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()


    middleware = playtrace_agent.wsgi.TraceMiddleware(app)


    def broken_off():
        body = middleware({"HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "r"}, lambda *_: None)
        try:
            for piece in body:
                raise ConnectionError
        except ConnectionError as error:
            # The frame, the exception and its traceback hold each other from now on, and the body with them.
            kept = error
"""


@pytest.mark.parametrize("end", ["gc.collect()", "pass", "sys.exit()"])
def test_a_body_in_a_cycle_is_closed(workspace: Workspace, end: str) -> None:
    outcome = workspace.run(textwrap.dedent(CYCLES) + f"\nbroken_off()\n{end}\n")
    assert outcome.code == 0
    assert "data may be incomplete" not in outcome.err
    if end == "gc.collect()":
        assert outcome.out == "closed [b'b']\n"
        assert outcome.wrote.unclosed("p", "r") == []
