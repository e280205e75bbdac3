"""A traced request is answered as an untraced one is: byte for byte, error for error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twice import OURS, WORK, lines, twice

if TYPE_CHECKING:
    from conftest import Workspace

APP = """
import datetime, logging, os, sys, warnings
import flask
import work
import playtrace_agent.flask

logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stdout)
app = flask.Flask(__name__)
app.secret_key = "key"
started = datetime.datetime(2026, 1, 2)


@app.get("/text")
def text():
    return "täxt" + str(work.plain(1))


@app.get("/json")
def json():
    flask.session["n"] = flask.session.get("n", 0) + 1
    return {"b": 1, "a": [work.plain(2), None], "n": flask.session["n"]}


@app.get("/bytes")
def data():
    response = flask.Response(bytes(range(256)), status=207, mimetype="application/octet-stream")
    response.headers.add("X-Twice", "1")
    response.headers.add("X-Twice", "2")
    response.set_cookie("a", "b")
    return response


@app.get("/stream")
def stream():
    def pieces():
        for n in range(3):
            yield f"{work.plain(n)};"
    return flask.Response(flask.stream_with_context(pieces()))


@app.get("/stream-fails")
def stream_fails():
    return flask.Response(piece for piece in work.pieces())


@app.get("/file")
def file():
    return flask.send_file(os.path.abspath("static.txt"), max_age=5, etag="e", last_modified=started)


@app.get("/redirect")
def redirect():
    return flask.redirect("/text")


@app.get("/empty")
def empty():
    return "", 204


@app.get("/fails")
def fails():
    return work.fails()


@app.get("/aborts")
def aborts():
    flask.abort(418)


@app.get("/exits")
def exits():
    sys.exit("a request exits")


@app.get("/interrupted")
def interrupted():
    raise KeyboardInterrupt


@app.get("/warns")
def warns():
    warnings.warn("careful", UserWarning, stacklevel=2)
    return "warned"


@app.get("/deprecated")
def deprecated():
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    return "warned"


@app.get("/moves")
def moves():
    before = os.getcwd()
    os.chdir("/")
    try:
        return str(work.plain(os.getcwd()))
    finally:
        os.chdir(before)


@app.post("/echo")
def echo():
    return flask.request.get_data() + flask.request.query_string + flask.request.headers["User-Agent"].encode()


playtrace_agent.flask.init_app(app)
"""
GO = """
import webapp

client = webapp.app.test_client()

def ask(path, method="GET", **more):
    # In both runs: the header means nothing without an agent.
    headers = {"X-Profile-Trace": "p", "X-Profile-Trace-Step": "1"}
    try:
        response = client.open(path, method=method, headers=headers, **more)
        headers = [pair for pair in response.headers if pair[0] != "X-Profile-Trace-Status"]
        print(path, response.status, headers, response.get_data())
        response.close()
    except BaseException as error:
        print(path, type(error).__name__, error, frames(error))
"""
#: Signatures and dates of an answer: they differ from one second to the next.
OF_THE_CLOCK = re.compile(r"\.[\w-]{6}\.[\w-]{27}|\d\d \w{3} \d{4} (?!00:00:00)[\d:]{8} GMT")


def _app(workspace: Workspace) -> None:
    workspace.write("webapp.py", APP)
    workspace.write("static.txt", "static")


def test_answers_are_the_same(workspace: Workspace) -> None:
    _app(workspace)
    outcome = twice(
        workspace,
        GO
        + """
for path in ("/text", "/json", "/json", "/bytes", "/stream", "/file", "/redirect", "/empty", "/fails", "/aborts",
             "/missing", "/moves", "/warns"):
    ask(path)
ask("/text", method="HEAD")
ask("/text", method="OPTIONS")
ask("/text", method="DELETE")
ask("/echo?a=b", method="POST", data=b"sent\\0" * 1000)
ask("/file", method="HEAD")
""",
        but=OF_THE_CLOCK,
        traced=[*lines("plain"), *lines("fails")],
    )
    assert outcome.wrote.unclosed("p") == []


def test_errors_that_reach_the_server_are_the_same_but_for_the_middlewares_first_frame(workspace: Workspace) -> None:
    """A WSGI middleware stands between app and server; nothing else of ours may be seen in a traceback."""
    _app(workspace)
    outcome = twice(
        workspace,
        GO
        + """
for path in ("/exits", "/interrupted", "/stream-fails"):
    ask(path)
webapp.app.config["PROPAGATE_EXCEPTIONS"] = True
for path in ("/fails", "/warns", "/deprecated"):
    ask(path)
""",
        but=OURS,
        traced=[*lines("fails")],
    )
    found = [
        [entry.strip(", '").rpartition(":")[2] for entry in OURS.findall(line)] for line in outcome.out.splitlines()
    ]
    # The first traced request is opened by Python code, the others natively.
    assert sorted(found) == [*[[]] * 5, ["__call__"]], outcome.out
    assert outcome.wrote.unclosed("p") == []


def test_the_environment_and_start_response_are_the_servers(workspace: Workspace) -> None:
    """What a middleware might change without an answer that shows it."""
    outcome = twice(
        workspace,
        """
        import playtrace_agent.wsgi

        def app(environ, start_response):
            print(sorted(environ.items()), type(environ))
            environ["left"] = work.plain("behind")
            caught(start_response)
            write = start_response("200 OK", [("A", "b")])
            write(b"written")
            given = start_response("500 Late", [("A", "c")], (ValueError, ValueError("late"), None))
            print(write is given)
            return [b"body"]

        def start_response(*given):
            if not given:
                raise TypeError("nothing given")
            print([part for part in given[1] if part[0] != "X-Profile-Trace-Status"], given[0], given[2:])
            return wrote.append

        wrote = []
        headers = [("A", "b")]
        environ = {"HTTP_X_PROFILE_TRACE": "p", "REQUEST_METHOD": "GET", "PATH_INFO": "/"}
        body = playtrace_agent.wsgi.wrap(app)(environ, start_response)
        print(body, wrote, environ)
        """,
        but=re.compile(r"TypeError .*|0x\w+|write is given.*"),
    )
    assert outcome.wrote.unclosed("p") == []


def test_a_request_that_exits_is_closed_and_written(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import sys, work, playtrace_agent.wsgi

        def app(environ, start_response):
            work.plain(1)
            sys.exit(3)

        playtrace_agent.wsgi.wrap(app)({"HTTP_X_PROFILE_TRACE": "p"}, None)
        """,
        check=False,
    )
    assert (outcome.code, outcome.out, outcome.err) == (3, "", "")
    assert outcome.wrote.lines("p", "work.py") == lines("plain")
    assert outcome.wrote.unclosed("p") == []
