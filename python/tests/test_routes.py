"""Real traffic by route: real frameworks say which, and a sample of the requests says what they enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from traffic import ALWAYS, WSGI, by_route, entered, shards

if TYPE_CHECKING:
    from conftest import Workspace

FLASK = """
from flask import Flask

application = Flask(__name__)


@application.before_request
def before():
    pass


@application.get("/item/<int:number>")
def item(number):
    return read() + (late() if number > 100 else shared())


def read():
    return "read "


@application.post("/item")
def create():
    late()
    return write() + shared()


def write():
    return "write "


def shared():
    return "shared"


def late():
    return "late"


@application.get("/profiled")
def profiled():
    return shared()


@application.get("/fails")
def fails():
    return deep()


def deep():
    raise ValueError("expected")


@application.errorhandler(ValueError)
def handled(error):
    return "handled", 500


@application.errorhandler(404)
def missing(error):
    return "missing", 404
"""


@pytest.fixture
def flask(workspace: Workspace) -> Workspace:
    workspace.write("app.py", FLASK)
    return workspace


def test_flask_by_method_and_rule(flask: Workspace) -> None:
    outcome = flask.run(
        WSGI
        + """
print(get("/item/17"), get("/item", "POST"), get("/item/18"), get("/fails"), get("/no/such/page"))
print(get("/profiled", x_profile_trace="p"))
""",
        env=ALWAYS,
    )
    answers = ["('200', 'read shared')", "('200', 'write shared')", "('200', 'read shared')", "('500', 'handled')"]
    assert outcome.out.splitlines() == [" ".join([*answers, "('404', 'missing')"]), "('200', 'shared')"]
    assert by_route(flask) == {
        "GET /item/<int:number>": {"before", "item", "read", "shared"},
        # What was silent by then is heard of again.
        "POST /item": {"before", "create", "write", "shared", "late"},
        "GET /fails": {"before", "fails", "deep", "handled"},
    }
    assert entered(flask) == set().union(*by_route(flask).values()) | {"missing"}
    [shard] = shards(flask)
    assert not any(secret in shard.read_bytes() for secret in (b"/item/17", b"/no/such"))
    assert outcome.wrote.lines("p", "app.py"), "profiles are as they were"


def test_after_the_first_requests_of_a_route_few_are_samples(flask: Workspace) -> None:
    driver = """
get("/item", "POST")
for number in [1] * 8 + [101] * {more}:
    get(f"/item/{{number}}")
"""
    seen = []
    for more in (7, 8):
        flask.run(WSGI + driver.format(more=more), env=ALWAYS)
        seen.append("late" in by_route(flask)["GET /item/<int:number>"])
        for shard in shards(flask):
            shard.unlink()
    assert seen == [False, True], "the 16th is one again"


def test_what_nobody_entered_before_is_known_without_a_sample(flask: Workspace) -> None:
    flask.run(
        WSGI
        + """
for number in [1] * 8 + [101]:
    get(f"/item/{number}")
""",
        env=ALWAYS,
    )
    assert "late" in by_route(flask)["GET /item/<int:number>"]


def test_another_day_begins_anew(flask: Workspace) -> None:
    flask.run(
        WSGI
        + """
pretend, DAY = _native.pretend, 24 * 60 * 60 * 1000
for day, path in ((20000, "/item/1"), (20000, "/fails"), (20001, "/item/2"), (20001, "/item/3")):
    _native.pretend = lambda moment: pretend(day * DAY)
    get(path)
""",
        env=ALWAYS,
    )
    assert set(by_route(flask, "2024-10-04")) == {"GET /item/<int:number>", "GET /fails"}
    assert by_route(flask, "2024-10-05") == {"GET /item/<int:number>": {"before", "item", "read", "shared"}}


def test_left_out_it_is_recorded_without_routes(flask: Workspace) -> None:
    env = {**ALWAYS, "PROFILE_COVERAGE_DISABLE": "routes"}
    flask.run(WSGI + "get('/item/1')\nassert not hasattr(app.Flask.full_dispatch_request, '__wrapped__')\n", env=env)
    assert (by_route(flask), entered(flask)) == ({}, {"before", "item", "read", "shared"})
    flask.run(WSGI.replace("_native.pretend(None)", "") + "get('/item/1')\n"
              "assert not hasattr(app.Flask.full_dispatch_request, '__wrapped__')\n", env={})  # fmt: skip


def test_a_crowd_of_routes_and_a_fork_stay_bounded(flask: Workspace) -> None:
    flask.write("app.py", FLASK + "\n\nfor n in range(600):\n"
                "    application.add_url_rule(f'/many/{n}/<x>', f'many{n}', lambda x: shared())\n")  # fmt: skip
    flask.run(
        WSGI
        + """
import os
for n in range(600):
    get(f"/many/{n}/x")
get("/item/1")
get("/item/1", "INVENTED")
pid = os.fork()
if pid == 0:
    get("/fails")
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        env=ALWAYS,
        warnings="ignore",
    )
    found = by_route(flask)
    assert len(found) == 501
    assert "shared" in found["GET /many/499/<x>"]
    # Those beyond the limit are one.
    assert found["(other routes)"] >= {"item", "shared", "fails"}
    [shard] = shards(flask)
    assert shard.stat().st_size < 300_000


def test_memory_does_not_grow_with_days_and_requests(flask: Workspace) -> None:
    outcome = flask.run(
        WSGI
        + """
import tracemalloc, gc
pretend, DAY = _native.pretend, 24 * 60 * 60 * 1000
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096
sizes = []
for day in range(20000, 20060):
    _native.pretend = lambda moment: pretend(day * DAY)
    for path in ("/item/1", "/item/101", "/fails", "/no/such"):
        for n in range(5):
            get(path)
    sizes.append(resident())
print(sizes[-1] - sizes[9])
""",
        env=ALWAYS,
    )
    assert int(outcome.out) < 2_000_000
    assert len(shards(flask)) == 60, "one a day"
    assert max(shard.stat().st_size for shard in shards(flask)) < 100_000
    assert set(by_route(flask, "2024-12-02")) == {"GET /item/<int:number>", "GET /fails"}
