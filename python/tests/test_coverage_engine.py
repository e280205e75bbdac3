"""The engine on top of coverage.py: one run at a time in a process, and every line its run's."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from engine_app import ASH, CEDAR, DOGWOOD, ENGINE, prepare
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    return prepare(workspace)


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
