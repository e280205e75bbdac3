"""The engine on top of coverage.py: one run at a time in a process, and every line its run's."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

ENGINE = {"PROFILE_COVERAGE_ENGINE": "coverage"}

WORK = """
import threading


def ash():
    return branch(3)


def branch(n):
    if n > 2:
        return "big"
    return "small"


def birch():
    found = []
    thread = threading.Thread(target=grow, args=(found,))
    thread.start()
    thread.join()
    return found[0]


def grow(found):
    found.append([n for n in range(3)])


def cedar():
    try:
        fails()
    except ValueError as error:
        return str(error)


def fails():
    try:
        raise ValueError("on purpose")
    finally:
        branch(1)


def dogwood():
    def pieces():
        yield "one"
        yield "two"

    return sum(len(piece) for piece in pieces())


def elm():
    import lazy
    return lazy.name()
"""
#: The lines of it that its functions execute.
ASH, CEDAR, DOGWOOD = [5, 9, 10], [9, 11, 27, 28, 29, 30, 34, 35, 37], [41, 42, 43, 45]
LAZY = """
NAME = "elm"


def name():
    return NAME
"""
#: Answers `/<name>` with what the function of that name returns.
CLIENT = """
import logging, threading
import playtrace_agent.wsgi
import work

logging.basicConfig(level=logging.INFO, format="LOG %(levelname)s %(message)s")
VIEWS = {}


def application(environ, start_response):
    name = environ["PATH_INFO"][1:]
    start_response("200 OK", [])
    return [str(VIEWS.get(name, getattr(work, name, None))()).encode()]


wrapped = playtrace_agent.wsgi.wrap(application)


def get(name, slug=None, run="r"):
    seen = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/" + name}
    if slug:
        environ |= {"HTTP_X_PROFILE_TRACE": slug, "HTTP_X_PROFILE_TRACE_RUN": run}
    list(wrapped(environ, lambda line, headers, exc_info=None: seen.extend(headers)))
    return dict(seen).get("X-Profile-Trace-Status")


class Asked(logging.Handler):
    # Is told when a traced request has arrived, before it is let in.
    def __init__(self, slug):
        super().__init__()
        self.words, self.event = f"header seen: profile {slug},", threading.Event()
        logging.getLogger("playtrace_agent").addHandler(self)

    def emit(self, record):
        if self.words in record.getMessage():
            self.event.set()


def inside(name="held"):
    # A view that says that it began, and goes on when it is told to.
    began, go = threading.Event(), threading.Event()

    def view():
        began.set()
        assert go.wait(60)
        return work.ash()

    VIEWS[name] = view
    return began, go


def started(*args, **options):
    thread = threading.Thread(target=lambda: STATUSES.__setitem__(args[0], get(*args, **options)))
    thread.start()
    return thread


STATUSES = {}
"""


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    workspace.write("work.py", WORK)
    workspace.write("lazy.py", LAZY)
    workspace.write("client.py", CLIENT)
    workspace.write("coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit = driver*.py,client.py\n")
    return workspace


VIEWS = ("ash", "birch", "cedar", "dogwood")


def test_lines_are_coveragepys_own(app: Workspace) -> None:
    """Each function as a traced request, and under a `coverage.Coverage` that knows nothing of the agent."""
    app.run(f"from client import get\nfor name in {VIEWS}: assert get(name, name) == 'on'", env=ENGINE)
    own = app.run(
        f"""
        import coverage, json, work
        found = {{}}
        for name in {VIEWS}:
            cov = coverage.Coverage(data_file=None, config_file=False, include=[work.__file__])
            cov.start()
            getattr(work, name)()
            cov.stop()
            found[name] = sorted(cov.get_data().lines(work.__file__))
        print(json.dumps(found))
        """,
        env={"ENABLE_PROFILE_COVERAGE": None},
    )
    traced = {name: app.look().lines(name, "work.py") for name in VIEWS}
    assert traced == json.loads(own.out)
    assert all(traced.values())
    assert judge(app, None, slug="birch").status == "consistent"


def test_it_is_chosen_where_there_is_no_monitoring_and_says_its_limit(app: Workspace) -> None:
    outcome = app.run("from client import get\nassert get('ash', 'p') == 'on'")
    (boot,) = app.look().of_kind("p", "boot", "r")
    if sys.version_info >= (3, 12):
        assert "engine" not in boot
        return
    assert boot["engine"] == "coverage"
    assert "one run at a time in a process" in outcome.err


def test_code_that_an_import_runs_is_the_imports(app: Workspace) -> None:
    app.run("from client import get\nassert get('elm', 'p') == 'on'", env=ENGINE)
    contexts = app.look().contexts()
    assert contexts["import"] == {"lazy.py": [1, 4]}
    assert contexts["profile:p"]["lazy.py"] == [5]


def test_a_request_of_another_run_waits_until_the_first_is_over(app: Workspace) -> None:
    app.run(
        """
        from client import *
        began, go = inside()
        asked = Asked("b")
        first = started("held", "a")
        assert began.wait(60)
        second = started("cedar", "b")
        assert asked.event.wait(60) and "cedar" not in STATUSES
        go.set()
        first.join(), second.join()
        assert STATUSES == {"held": "on", "cedar": "on"}, STATUSES
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == CEDAR
    assert judge(app, None, slug="a").status == judge(app, None, slug="b").status == "consistent"


def test_one_that_would_wait_too_long_is_refused_and_its_verdict_says_so(app: Workspace) -> None:
    outcome = app.run(
        """
        from client import *
        import playtrace_agent.coverage_engine as engine
        engine.WAIT = 0.2
        began, go = inside()
        first = started("held", "a")
        assert began.wait(60)
        print(get("cedar", "b"))
        go.set()
        first.join()
        assert get("dogwood", "b") == "on"
        """,
        env=ENGINE,
    )
    assert outcome.out.startswith("off; other traced work was not over")
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == DOGWOOD
    assert "not traced: GET /cedar: other traced work was not over" in outcome.err
    judged = judge(app, None, slug="b")
    assert judged.status == "partial"
    assert judged.names("data lost", "GET /cedar is not traced", "one run at a time")
    assert judge(app, None, slug="a").status == "consistent"


def test_requests_of_one_run_overlap(app: Workspace) -> None:
    app.run(
        """
        from client import *
        both = threading.Barrier(2, timeout=60)
        VIEWS["x"] = lambda: (both.wait(), work.ash(), both.wait())
        VIEWS["y"] = lambda: (both.wait(), work.cedar(), both.wait())
        threads = [started("x", "a"), started("y", "a")]
        for thread in threads: thread.join()
        assert STATUSES == {"x": "on", "y": "on"}
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == sorted({*ASH, *CEDAR})


def test_untraced_work_beside_a_traced_request_is_nobodys(app: Workspace) -> None:
    """In another thread, in a thread that it starts, and in the same thread before and after."""
    app.run(
        """
        from client import *
        get("dogwood")
        began, go = inside()
        first = started("held", "a")
        assert began.wait(60)
        get("birch"), get("cedar")
        go.set()
        first.join()
        get("dogwood")
        """,
        env=ENGINE,
    )
    assert app.look().contexts() == {"profile:a": {"work.py": ASH}}


def test_blocks_within_running_frames_and_within_other_runs(app: Workspace) -> None:
    app.write(
        "blocks.py",
        """
        import contextlib
        import playtrace_agent, work


        @contextlib.contextmanager
        def traced():
            with playtrace_agent.trace("p", "r"):
                yield


        def around():
            before = 1
            with traced():
                within = 2
                other()
                again = 3
            after = 4


        def other():
            with playtrace_agent.trace("q", "r"):
                work.ash()
        """,
    )
    outcome = app.run("import logging, blocks\nlogging.basicConfig()\nblocks.around()", env=ENGINE)
    lines = app.look().lines("p", "blocks.py")
    assert set(lines) >= {14, 15, 16, 21, 22}
    assert not set(lines) & {12, 17}
    # Its own run can't have them: one is traced at a time.
    assert app.look().lines("p", "work.py") == ASH
    assert app.look().lines("q", "work.py") == []
    assert "not traced: a block of profile q" in outcome.err
    assert judge(app, None, slug="q").status == "partial"


def test_a_thread_that_goes_on_is_lost_when_another_run_comes(app: Workspace) -> None:
    app.run(
        """
        from client import *
        go, over = threading.Event(), threading.Event()

        def later():
            go.wait(60)
            work.cedar()
            over.set()

        VIEWS["starts"] = lambda: threading.Thread(target=later).start()
        assert get("starts", "a") == "on"
        assert get("ash", "b") == "on"
        go.set()
        assert over.wait(60)
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == []
    assert app.look().lines("b", "work.py") == ASH
    judged = judge(app, None, slug="a")
    assert judged.names("a thread that traced work had started went on while another run was traced")
    assert judge(app, None, slug="b").status == "consistent"


def test_a_thread_that_goes_on_alone_is_traced_to_its_end(app: Workspace) -> None:
    app.run(
        """
        from client import *
        go = threading.Event()
        threads = []

        def later():
            go.wait(60)
            work.cedar()

        def starts():
            threads.append(threading.Thread(target=later))
            threads[0].start()

        VIEWS["starts"] = starts
        assert get("starts", "a") == "on" and get("ash", "a") == "on"
        go.set()
        threads[0].join()
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == sorted({*ASH, *CEDAR})
    assert judge(app, None, slug="a").status == "consistent"


def test_requests_told_apart_have_contexts_of_their_own(app: Workspace) -> None:
    app.run(
        "from client import get\nfor name in ('ash', 'dogwood'): assert get(name, 'p') == 'on'",
        env={**ENGINE, "PROFILE_COVERAGE_GRANULARITY": "request"},
    )
    found = [files["work.py"] for context, files in sorted(app.look().contexts().items())]
    assert found == [ASH, DOGWOOD]


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


def test_an_asgi_app_is_refused_and_answers(app: Workspace) -> None:
    app.run(
        """
        import asyncio, playtrace_agent.asgi, work

        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": work.ash().encode()})

        async def request():
            sent = []
            async def send(message): sent.append(message)
            scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-profile-trace", b"p"),
                     (b"x-profile-trace-run", b"r")]}
            await playtrace_agent.asgi.wrap(application)(scope, None, send)
            headers = dict(sent[0]["headers"])
            status = next(value for name, value in headers.items() if name.lower() == b"x-profile-trace-status")
            assert status.startswith(b"off; the coverage engine does not trace where an event loop runs"), status
            assert sent[1]["body"] == b"big"

        asyncio.run(request())
        """,
        env=ENGINE,
    )
    assert app.look().lines("p", "work.py") == []
    assert judge(app, None).names("data lost", "event loop")


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


def test_requests_told_apart_wait_for_each_other(app: Workspace) -> None:
    app.run(
        """
        from client import *
        from playtrace_agent.coverage_engine import CoverageEngine

        began, go = inside()
        first = started("held", "p")
        assert began.wait(60)
        real, tried = CoverageEngine._enter, threading.Event()

        def enter(self, key, **options):
            let_in = real(self, key, **options)
            tried.set()
            return let_in

        CoverageEngine._enter = enter
        second = started("dogwood", "p")
        assert tried.wait(60)
        go.set()
        first.join(), second.join()
        assert STATUSES == {"held": "on", "dogwood": "on"}
        """,
        env={**ENGINE, "PROFILE_COVERAGE_GRANULARITY": "request"},
    )
    found = [files["work.py"] for files in app.look().contexts().values()]
    assert sorted(found) == sorted([ASH, DOGWOOD])
