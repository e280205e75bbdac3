"""Middleware within middleware: a request is traced once, by the outermost that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

APPS = """
def one(environ, start_response):
    start_response("404 Not Found", [])
    return [b"one"]


def two(environ, start_response):
    start_response("200 OK", [])
    return [b"two"]


def streamed(inner):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first "
        # The inner app is called while the outer one's body is taken.
        yield from inner(environ, lambda status, headers, exc_info=None: None)
    return app
"""

DRIVER = """
import apps
from playtrace_agent.wsgi import TraceMiddleware


def call(app, environ):
    seen = []
    body = app(environ, lambda status, headers, exc_info=None: seen.extend(headers))
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return content.decode(), [value for name, value in seen if name == "X-Profile-Trace-Status"]


def asked(step=1, slug="p"):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": slug,
            "HTTP_X_PROFILE_TRACE_RUN": "r", "HTTP_X_PROFILE_TRACE_STEP": str(step)}

"""


def test_the_outermost_traces(workspace: Workspace) -> None:
    workspace.write("apps.py", APPS)
    outcome = workspace.run(
        DRIVER
        + "print(call(TraceMiddleware(TraceMiddleware(TraceMiddleware(apps.one))), asked(1)))\n"
        + "print(call(TraceMiddleware(apps.streamed(TraceMiddleware(apps.two))), asked(2)))\n"
    )
    assert outcome.out.splitlines() == ["('one', ['on'])", "('first two', ['on'])"]
    assert len(outcome.wrote.of_kind("p", "open", "r")) == 2
    assert outcome.wrote.lines("p", "apps.py") == [2, 3, 7, 8, 13, 14, 16]
    assert judge(workspace, ["on", "on"]).status == "complete"


def test_an_environ_that_is_used_again_is_another_apps(workspace: Workspace) -> None:
    workspace.write("apps.py", APPS)
    outcome = workspace.run(
        DRIVER
        + "environ = asked()\n"
        + "print(call(TraceMiddleware(apps.one), environ), call(TraceMiddleware(apps.two), environ))\n"
    )
    assert outcome.out == "('one', ['on']) ('two', ['on'])\n"
    assert outcome.wrote.lines("p", "apps.py") == [2, 3, 7, 8]


def test_what_is_refused_is_refused_once(workspace: Workspace) -> None:
    workspace.write("apps.py", APPS)
    outcome = workspace.run(DRIVER + "print(call(TraceMiddleware(TraceMiddleware(apps.one)), asked(slug='../p')))\n")
    assert outcome.out.startswith("('one', [\"off; X-Profile-Trace: the character at"), outcome.out
    assert outcome.out.count("off; ") == 1
    assert outcome.err.count("not traced") == 1


def test_a_request_within_a_request_is_its_own(workspace: Workspace) -> None:
    workspace.write("apps.py", APPS)
    outcome = workspace.run(
        DRIVER
        + "inner = TraceMiddleware(apps.two)\n"
        + "def outer(environ, start_response):\n"
        + "    print(call(inner, asked(1, 'q')))\n"
        + "    return apps.one(environ, start_response)\n"
        + "print(call(TraceMiddleware(outer), asked()))\n"
    )
    assert outcome.out.splitlines() == ["('two', ['on'])", "('one', ['on'])"]
    assert outcome.wrote.lines("p", "apps.py") == [2, 3]
    assert outcome.wrote.lines("q", "apps.py") == [7, 8]


def test_a_request_to_a_server_that_a_run_started_is_a_request(workspace: Workspace) -> None:
    """A child process works for the run as a whole: that opens no step."""
    workspace.write("apps.py", APPS)
    outcome = workspace.run(
        DRIVER
        + """
app = TraceMiddleware(apps.two)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "r",
           "HTTP_X_PROFILE_TRACE_STEP": "3"}
print(b"".join(app(environ, lambda status, headers: print(headers))))
""",
        env={"PROFILE_TRACE_SLUG": "p", "PROFILE_TRACE_RUN": "r"},
    )
    assert outcome.out.splitlines() == ["[('X-Profile-Trace-Status', 'on')]", "b'two'"]
    opened = outcome.wrote.of_kind("p", "open", "r")
    assert [(record["kind"], record.get("step")) for record in opened] == [("child", None), ("request", 3)]
