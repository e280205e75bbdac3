"""Always on: which functions the work of no profile enters, in one process."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from traffic import ALWAYS, entered, shards

if TYPE_CHECKING:
    from conftest import Workspace

#: What every driver begins with: requests as a server makes them, of an app that does what the path names.
CLIENT = """
import sys
import threading
import playtrace_agent, playtrace_agent.wsgi
from playtrace_agent import _native
import app

target = playtrace_agent.wsgi.TraceMiddleware(app.application)


def get(name, slug=None):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/" + name}
    if slug is not None:
        environ["HTTP_X_PROFILE_TRACE"] = slug
    return b"".join(target(environ, lambda *args: None))
"""

APP = """
import importlib
import threading


def application(environ, start_response):
    start_response("200 OK", [])
    return [str(globals()[environ["PATH_INFO"][1:]]()).encode()]


def at_start():
    return 1


STARTED = at_start()


def late():
    return [at_start(), 1][1]


def real():
    return (lambda: helper())()


def helper():
    return sum(n for n in pieces())


def pieces():
    yield 1
    yield 2


def profiled():
    for n in range(300):
        only_profiled()
    return shared()


def only_profiled():
    return 1


def shared():
    return 1


def starts_thread():
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()


def in_thread():
    return 1


def imports():
    return importlib.import_module("lazy").answer()


class Thing:
    @property
    def name(self):
        return 1

    def never(self):
        return 1


def made():
    class Local:
        x = 1

    return Thing().name


def meets():
    first, second = BARRIERS
    first.wait()
    mine()
    second.wait()


def mine():
    return 1


def met():
    first, second = BARRIERS
    first.wait()
    yours()
    second.wait()


def yours():
    return 1


BARRIERS = threading.Barrier(2), threading.Barrier(2)
"""


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    workspace.write("app.py", APP)
    workspace.write("lazy.py", "def decorate():\n    return 1\n\n\nX = decorate()\n\n\ndef answer():\n    return X\n")
    return workspace


def test_what_requests_enter_and_no_start_up_no_import_and_no_profile(app: Workspace) -> None:
    outcome = app.run(
        CLIENT
        + """
app.late()
get("profiled", slug="p")
get("real")
get("profiled", slug="p")
get("starts_thread")
get("imports")
get("made")
get("shared")
""",
        env=ALWAYS,
    )
    assert entered(app) == {
        *("application", "real", "helper", "pieces", "starts_thread", "in_thread", "imports", "made", "Local", "name"),
        *("shared", _line("    return (lambda: helper())()"), _line("    return sum(n for n in pieces())")),
    }
    assert entered(app, file="lazy.py") == {"answer"}
    assert len(shards(app)) == 1
    assert outcome.wrote.lines("p", "app.py"), "profiles are as they were"
    assert "anyone" not in outcome.wrote.contexts()
    assert not list((app.data / ".playtrace").glob("anyone"))


def _line(text: str) -> str:
    return str(APP.lstrip("\n").splitlines().index(text) + 1)


def test_a_traced_and_an_untraced_request_at_once_are_told_apart(app: Workspace) -> None:
    outcome = app.run(
        CLIENT
        + """
get("shared")
thread = threading.Thread(target=get, args=("meets",))
thread.start()
get("met", slug="p")
thread.join()
""",
        env=ALWAYS,
    )
    found = entered(app)
    assert {"meets", "mine"} <= found
    assert not {"met", "yours"} & found
    assert int(_line("    yours()")) in outcome.wrote.lines("p", "app.py")


@pytest.mark.parametrize("granularity", ["profile", "steps", "request", "symbol"])
def test_profiles_get_the_same_with_it_as_without(app: Workspace, granularity: str) -> None:
    driver = (
        CLIENT
        + """
for turn in range(3):
    for name in ("shared", "real", "made"):
        for slug in (None, "p", None, "q"):
            if (name, slug) != ("made", "q"):
                get(name, slug)
    # As after a quiet while.
    _native.rest()
"""
    )
    found = []
    for extra in (ALWAYS, {}):
        outcome = app.run(driver, env={"PROFILE_COVERAGE_GRANULARITY": granularity, **extra})
        contexts = outcome.wrote.contexts()
        assert contexts
        # The scope of a request without a step is its process's number and its own.
        found.append(sorted((re.sub(r":\d+-\d+$", "", context), str(lines)) for context, lines in contexts.items()))
        for shard in outcome.wrote.shards():
            shard.unlink()
    assert found[0] == found[1]


def test_another_day_begins_anew(app: Workspace) -> None:
    app.run(
        CLIENT
        + """
DAY = 24 * 60 * 60 * 1000
_native.pretend(20000 * DAY)
get("real")
get("shared")
_native.pretend(20001 * DAY - 1)
get("made")
_native.pretend(20001 * DAY)
get("shared")
get("profiled", slug="p")
""",
        env=ALWAYS,
    )
    first, second = "2024-10-04", "2024-10-05"
    assert sorted(path.parent.name for path in shards(app)) == [first, second]
    assert {"real", "shared", "made", "helper"} <= entered(app, first)
    assert entered(app, second) == {"application", "shared"}


def test_the_shard_says_which_source_ran_and_is_not_written_without_news(app: Workspace) -> None:
    app.run(
        CLIENT
        + """
import os, pathlib
get("real")
playtrace_agent.flush()
[shard] = pathlib.Path(os.environ["PROFILE_COVERAGE_DIR"]).glob("anyone/*/*")
before = shard.stat().st_mtime_ns, shard.read_bytes()
for n in range(20):
    get("real")
playtrace_agent.flush()
assert (shard.stat().st_mtime_ns, shard.read_bytes()) == before
get("shared")
playtrace_agent.flush()
assert shard.read_bytes() != before[1]
# What somebody takes away comes back with the next news.
shard.unlink()
get("made")
""",
        env=ALWAYS,
    )
    [shard] = shards(app)
    assert {"real", "shared", "made"} <= entered(app)
    with closing(sqlite3.connect(shard)) as db:
        meta = dict(db.execute("select key, value from meta"))
    assert meta["playtrace_source:app.py"] == sha256((app.app / "app.py").read_bytes()).hexdigest()


def test_memory_is_bounded_where_an_app_compiles_anew_for_each_request(app: Workspace) -> None:
    app.write("app.py", APP + "\n\ndef compiles():\n    exec(compile(TEXT, __file__, 'exec'), scope := {})\n"
              "    CODES.append(weakref.ref(scope['f'].__code__))\n    return scope['f']()\n\n\n"
              "import weakref\nCODES = []\nTEXT = 'def f():\\n    return 1\\n'\n")  # fmt: skip
    outcome = app.run(
        CLIENT
        + """
for n in range(6000):
    get("compiles")
print(sum(code() is not None for code in app.CODES))
""",
        env=ALWAYS,
    )
    assert int(outcome.out) < 3000
    [shard] = shards(app)
    assert shard.stat().st_size < 100_000


def test_forked_children_write_to_the_shard_of_their_parent(app: Workspace) -> None:
    app.run(
        CLIENT
        + """
import os
get("shared")
for name in ("real", "made"):
    pid = os.fork()
    if pid == 0:
        get(name)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
""",
        env=ALWAYS,
        warnings="ignore",
    )
    assert len(shards(app)) == 1
    assert {"shared", "real", "made", "helper"} <= entered(app)


def test_unset_it_is_as_if_there_were_none_of_it(app: Workspace) -> None:
    outcome = app.run(
        CLIENT
        + """
for n in range(3):
    get("real")
print([sys.monitoring.get_tool(tool) for tool in range(6)])
""",
        env={"PROFILE_COVERAGE_ALWAYS": ""},
    )
    assert outcome.out.strip() == str([None] * 6)
    assert not (app.data / "anyone").exists()


def test_something_else_than_symbols_is_refused(app: Workspace) -> None:
    outcome = app.run(CLIENT, env={"PROFILE_COVERAGE_ALWAYS": "lines"}, check=False)
    assert outcome.code != 0
    assert "PROFILE_COVERAGE_ALWAYS=lines: use 'symbols'" in outcome.err


def test_where_it_cannot_be_recorded_requests_are_answered_and_it_is_said_once(app: Workspace) -> None:
    outcome = app.run(
        CLIENT
        + """
import logging
logging.basicConfig(level=logging.WARNING, format="LOG %(message)s")
for tool in range(5):
    sys.monitoring.use_tool_id(tool, "other")
print([get("shared") for n in range(3)])
""",
        env=ALWAYS,
    )
    assert outcome.out.strip() == "[b'1', b'1', b'1']"
    assert outcome.err.count("LOG ") == 1
    assert "fewer than two free tools" in outcome.err
