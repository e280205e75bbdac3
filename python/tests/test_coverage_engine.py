"""The engine on top of coverage.py: every line its run's, however many there are at once."""

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


def test_it_is_chosen_where_there_is_no_monitoring_and_says_its_limits(app: Workspace) -> None:
    outcome = app.run("from client import get\nassert get('ash', 'p') == 'on'")
    (boot,) = app.look().of_kind("p", "boot", "r")
    if sys.version_info >= (3, 12):
        assert "engine" not in boot
        return
    assert boot["engine"] == "coverage"
    assert "no greenlets" in outcome.err


def test_code_that_an_import_runs_is_the_imports(app: Workspace) -> None:
    app.run("from client import get\nassert get('elm', 'p') == 'on'", env=ENGINE)
    contexts = app.look().contexts()
    assert contexts["import"] == {"lazy.py": [1, 4]}
    assert contexts["profile:p"]["lazy.py"] == [5]


def test_requests_of_two_runs_at_once_have_their_own_lines(app: Workspace) -> None:
    app.run(
        """
        from client import *
        began, go = inside()
        first = started("held", "a")
        assert began.wait(60)
        assert get("cedar", "b") == "on"
        go.set()
        first.join()
        assert STATUSES == {"held": "on"}, STATUSES
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == ASH
    assert app.look().lines("b", "work.py") == CEDAR
    assert judge(app, None, slug="a").status == judge(app, None, slug="b").status == "consistent"


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
    app.run("import logging, blocks\nlogging.basicConfig()\nblocks.around()", env=ENGINE)
    lines = app.look().lines("p", "blocks.py")
    assert set(lines) >= {14, 15, 16, 21}
    assert not set(lines) & {12, 17, 22}
    assert app.look().lines("p", "work.py") == []
    # The end of the block is work of its first line.
    assert app.look().lines("q", "blocks.py") == [21, 22]
    assert app.look().lines("q", "work.py") == ASH
    assert judge(app, None, slug="p").status == judge(app, None, slug="q").status == "consistent"


def test_a_thread_that_goes_on_is_traced_to_its_end_whoever_comes(app: Workspace) -> None:
    app.run(
        """
        from client import *
        go, threads = threading.Event(), []

        def later():
            go.wait(60)
            work.cedar()

        def starts():
            threads.append(threading.Thread(target=later))
            threads[0].start()

        VIEWS["starts"] = starts
        assert get("starts", "a") == "on"
        assert get("ash", "b") == "on"
        go.set()
        threads[0].join()
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == CEDAR
    assert app.look().lines("b", "work.py") == ASH
    assert judge(app, None, slug="a").status == judge(app, None, slug="b").status == "consistent"


def test_requests_told_apart_have_contexts_of_their_own(app: Workspace) -> None:
    app.run(
        "from client import get\nfor name in ('ash', 'dogwood'): assert get(name, 'p') == 'on'",
        env={**ENGINE, "PROFILE_COVERAGE_GRANULARITY": "request"},
    )
    found = [files["work.py"] for context, files in sorted(app.look().contexts().items())]
    assert found == [ASH, DOGWOOD]


def test_requests_told_apart_overlap(app: Workspace) -> None:
    app.run(
        """
        from client import *
        began, go = inside()
        first = started("held", "p")
        assert began.wait(60)
        assert get("dogwood", "p") == "on"
        go.set()
        first.join()
        assert STATUSES == {"held": "on"}
        """,
        env={**ENGINE, "PROFILE_COVERAGE_GRANULARITY": "request"},
    )
    found = [files["work.py"] for files in app.look().contexts().values()]
    assert sorted(found) == sorted([ASH, DOGWOOD])
