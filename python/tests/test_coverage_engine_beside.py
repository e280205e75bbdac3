"""The engine on top of coverage.py beside what it can't trace: the app runs on, and somebody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_app import ASH, CEDAR, ENGINE, prepare
from judged import judge
from traffic import ALWAYS, shards

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    return prepare(workspace)


def test_an_exception_of_the_app_reaches_the_server_and_the_next_request_is_traced(app: Workspace) -> None:
    app.run(
        """
        from client import *

        def raises():
            raise KeyError(work.ash())

        VIEWS["raises"] = raises
        for name in ("raises", "raises"):
            try:
                get(name, "a")
            except KeyError as error:
                assert error.args == ("big",)
            else:
                raise AssertionError
        assert get("cedar", "b") == "on"
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == CEDAR


ASGI = """
    import asyncio, playtrace_agent.asgi, work

    async def application(scope, receive, send):
        await asyncio.sleep(0)
        answer = getattr(work, scope["path"][1:])()
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(answer).encode()})

    wrapped = playtrace_agent.asgi.wrap(application)

    async def request(name, slug):
        sent = []
        async def send(message): sent.append(message)
        scope = {"type": "http", "method": "GET", "path": "/" + name, "headers": [(b"x-profile-trace", slug),
                 (b"x-profile-trace-run", b"r")]}
        await wrapped(scope, None, send)
        headers = dict(sent[0]["headers"])
        return next(value for name, value in headers.items() if name.lower() == b"x-profile-trace-status")

    async def both():
        return await asyncio.gather(request("ash", b"a"), request("cedar", b"b"))

    print(*asyncio.run(both()))
"""


def test_requests_of_an_event_loop_are_traced_in_turns(app: Workspace) -> None:
    assert app.run(ASGI, env=ENGINE).out == "b'on' b'on'\n"
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == CEDAR
    assert judge(app, None, slug="a").status == judge(app, None, slug="b").status == "consistent"


def test_uvloop_is_refused(app: Workspace) -> None:
    """It enters contexts by itself: the trace function of one callback would go on in the next one."""
    pytest.importorskip("uvloop")
    outcome = app.run(ASGI.replace("asyncio.run(", "__import__('uvloop').run("), env=ENGINE)
    assert (
        outcome.out.count("off; the coverage engine does not trace where an event loop runs that is not asyncio's") == 2
    )
    assert app.look().lines("a", "work.py") == app.look().lines("b", "work.py") == []
    assert judge(app, None, slug="a").names("data lost", "uvloop")


def test_what_uvloop_runs_is_never_anothers(app: Workspace) -> None:
    """A loop of another thread, which traced work gives something to."""
    pytest.importorskip("uvloop")
    app.run(
        """
        from client import *
        import asyncio, uvloop

        loop = uvloop.new_event_loop()
        serving = threading.Thread(target=loop.run_forever)
        serving.start()

        async def piece(name):
            await asyncio.to_thread(work.ash)
            asyncio.create_task(asyncio.sleep(0))
            return getattr(work, name)()

        VIEWS["task"] = lambda: asyncio.run_coroutine_threadsafe(piece("cedar"), loop).result(60)
        VIEWS["nobody"] = lambda: asyncio.run_coroutine_threadsafe(piece("dogwood"), loop).result(60)
        assert get("task", "a") == "on"
        get("nobody")
        loop.call_soon_threadsafe(loop.stop)
        serving.join()
        """,
        env=ENGINE,
    )
    # What it hands to a thread is followed there.
    assert app.look().lines("a", "work.py") == ASH
    assert judge(app, None, slug="a").names("traced work went on where an event loop runs that is not asyncio's own")


def test_where_contexts_are_left_out_an_event_loop_is_refused(app: Workspace) -> None:
    outcome = app.run(ASGI, env={**ENGINE, "PROFILE_COVERAGE_DISABLE": "contexts"})
    assert outcome.out.startswith("b'off; the coverage engine does not trace here where an event loop runs")
    assert app.look().lines("a", "work.py") == app.look().lines("b", "work.py") == []
    assert judge(app, None, slug="a").names("data lost", "event loop")


def test_a_loop_within_a_request_is_traced(app: Workspace) -> None:
    app.run(
        """
        from client import *
        import asyncio

        async def both():
            return await asyncio.gather(asyncio.to_thread(work.ash), task())

        async def task():
            await asyncio.sleep(0)
            return work.cedar()

        VIEWS["loop"] = lambda: asyncio.run(both())
        assert get("loop", "a") == "on"
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == sorted({*ASH, *CEDAR})


def test_another_tracer_keeps_its_place(app: Workspace) -> None:
    """A debugger's trace function stays in its thread, and the app's own for new threads stays, too."""
    outcome = app.run(
        """
        from client import *
        import sys

        def own(frame, event, arg): return None

        threading.settrace(own)
        assert get("ash", "a") == "on"
        assert threading.gettrace() is own
        assert sys.gettrace() is None
        threading.settrace(None)
        sys.settrace(own)
        print(get("cedar", "b"))
        assert sys.gettrace() is own
        """,
        env=ENGINE,
    )
    assert outcome.out.startswith("off; a debugger or another tracer")
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == []


def test_coveragepy_that_measures_the_app_goes_on(app: Workspace) -> None:
    outcome = app.run(
        """
        import coverage
        cov = coverage.Coverage(data_file=None, config_file=False, include=["*/work.py"])
        cov.set_option("run:core", "ctrace")
        cov.start()
        from client import *
        print(get("ash", "a"))
        cov.stop()
        assert set(cov.get_data().lines(work.__file__)) >= {5, 9, 10}
        """,
        env=ENGINE,
    )
    assert outcome.out.startswith("off; coverage.py measures this process already")


@pytest.mark.parametrize(("release", "says"), [(None, "install it beside the app"), ("7.3.2", "and this is 7.3.2")])
def test_without_a_coveragepy_that_will_do_the_start_says_so(app: Workspace, release: str | None, says: str) -> None:
    outcome = app.run(
        f"""
        import importlib.metadata as metadata
        real, release = metadata.version, {release!r}

        def version(name):
            if name != "coverage": return real(name)
            if release is None: raise metadata.PackageNotFoundError(name)
            return release

        metadata.version = version
        import client
        """,
        env=ENGINE,
        check=False,
    )
    assert outcome.code == 1
    assert "SettingsError" in outcome.err
    assert says in outcome.err


def test_an_interpreter_that_can_not_be_traced_runs_the_app_untouched(app: Workspace) -> None:
    """A free-threaded build, as far as one can be played on this one."""
    outcome = app.run(
        """
        import sysconfig
        sysconfig.get_config_vars()["Py_GIL_DISABLED"] = 1
        from client import *
        import playtrace_agent
        assert wrapped is application and get("ash", "p") is None
        with playtrace_agent.trace("p"): work.ash()
        assert playtrace_agent.current_slug() is None
        """
    )
    assert outcome.err.count("nothing is traced in process") == 1
    assert "a free-threaded build" in outcome.err
    assert not app.data.exists()


def test_real_traffic_is_said_not_to_be_recorded(app: Workspace) -> None:
    outcome = app.run("from client import *\nget('ash')\nget('cedar', 'a')", env={**ENGINE, **ALWAYS})
    assert outcome.err.count("real traffic is not recorded: PROFILE_COVERAGE_ALWAYS needs the native engine") == 1
    assert shards(app) == []
    assert app.look().lines("a", "work.py") == CEDAR
