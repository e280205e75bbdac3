"""What traced work does with greenlets, in one process: whose it is, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from greenlet_work import FORKED, INNER, OTHER, WORK, lines_of
from judged import CLIENT, judge, statuses

if TYPE_CHECKING:
    from conftest import Workspace


def test_what_serves_all_is_nobodys_whoever_makes_it(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent.threadpool, playtrace_agent, work

        with playtrace_agent.trace("p", "r"):
            # The hub, its pool and another one, with their threads.
            assert gevent.spawn(work.inner).get() == gevent.get_hub().threadpool.apply(work.inner)
            pool = gevent.threadpool.ThreadPool(2)
            executor = gevent.threadpool.ThreadPoolExecutor(2)
            pool.size = 2
            assert pool.map(lambda _: work.inner(), range(4)) == [executor.submit(work.inner).result()] * 4
        for one in (gevent.spawn(work.other), gevent.get_hub().threadpool.spawn(work.other), pool.spawn(work.other)):
            one.get()
        executor.submit(work.other).result()
        """
    )
    assert lines_of(workspace) == {INNER}
    # Nothing that lives on keeps it open.
    wrote = workspace.look()
    assert wrote.of_kind("p", "left", "r") == []
    assert "_begin" not in {record["what"] for record in wrote.of_kind("p", "open", "r")}
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])


def test_greenlets_that_are_kept_are_over_when_they_have_ended(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, greenlet, playtrace_agent, work

        kept, later = [], gevent.event.Event()
        with playtrace_agent.trace("p", "r"):
            kept += [gevent.spawn(work.inner), greenlet.greenlet(work.inner), gevent.spawn(gevent.sleep, 60)]
            kept[0].join()
            kept[1].switch()
            kept[2].kill()
            # The unit that began it is over before it.
            kept.append(gevent.spawn(later.wait))
            gevent.sleep(0)
        later.set()
        kept[3].join()
        with playtrace_agent.trace("p", "r"):
            pass
        import glob, os

        [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/p/r/*.ledger")
        # Not only at the end of the process.
        assert all(f'"t":"closed","unit":"{unit}"' in open(path).read() for unit in (1, 2)), open(path).read()
        """
    )
    wrote = workspace.look()
    assert len(wrote.of_kind("p", "left", "r")) == 1
    assert wrote.unclosed("p", "r") == []


@pytest.mark.parametrize("order", ["patched first", "agent first"])
def test_programs_and_forks(workspace: Workspace, order: str) -> None:
    workspace.write("work.py", WORK)
    workspace.write("child.py", "import work\n\nwork.inner()\n")
    outcome = workspace.run(
        f"""
        import sys
        import gevent.monkey, playtrace_agent

        if {order == "agent first"}:
            with playtrace_agent.trace("before", "r"):
                pass
        gevent.monkey.patch_all()
        import os, subprocess, work

        def run():
            with playtrace_agent.trace("p", "r"):
                subprocess.run([sys.executable, "child.py"], check=True)
                subprocess.run(["true"], preexec_fn=work.other, check=True)
                assert subprocess.call("exit 3", shell=True) == 3
                try:
                    subprocess.run(["not there"])
                except FileNotFoundError:
                    pass
                child = os.fork()
                if child == 0:
                    work.forked()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0

        running = gevent.spawn(run)
        while not running.dead:
            gevent.sleep(0.001)
        running.get()
        """
    )
    assert outcome.err == ""
    assert lines_of(workspace) == {INNER, OTHER, FORKED}
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])


def test_a_greenlet_that_is_forgotten_ends_as_work_of_who_made_it(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import greenlet, playtrace_agent, work

        def run():
            try:
                main.switch()
            finally:
                work.inner()

        main = greenlet.getcurrent()
        with playtrace_agent.trace("p", "r"):
            one = greenlet.greenlet(run)
            one.switch()
        with playtrace_agent.trace("q", "r"):
            del one
            work.other()
        """
    )
    assert (lines_of(workspace), lines_of(workspace, "q")) == ({INNER}, {OTHER})
    assert workspace.look().unclosed("p", "r") == []


def test_requests_are_complete(workspace: Workspace) -> None:
    """With the player's records: a link that is taken back, a greenlet that never runs, one killed early."""
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import gevent, work
        from driver_client import Client

        def called(_):
            work.other()

        def app(environ, start_response):
            start_response("200 OK", [])
            gevent.spawn_later(60, work.other).kill()
            gevent.Greenlet(work.other)
            one = gevent.spawn(work.inner)
            one.link(called)
            one.link_value(work.other)
            one.unlink(called)
            one.unlink(work.other)
            return [one.get()]

        client = Client(app)
        for _ in range(3):
            gevent.spawn(client.get).get()
        client.done()
        """
    )
    assert lines_of(workspace) == {INNER}
    judged = judge(workspace, statuses(outcome))
    assert (judged.status, judged.reasons) == ("complete", [])


def test_eventlets_hub_and_threads_are_nobodys_whoever_makes_them(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import eventlet, eventlet.tpool, playtrace_agent, work

        with playtrace_agent.trace("p", "r"):
            assert eventlet.spawn(work.inner).wait() == eventlet.tpool.execute(work.inner)
        eventlet.spawn(work.other).wait(), eventlet.tpool.execute(work.other)
        """,
        warnings="ignore",  # it says of itself that it is deprecated
    )
    assert lines_of(workspace) == {INNER}
    # Nothing that lives on keeps it open.
    wrote = workspace.look()
    assert wrote.of_kind("p", "left", "r") == []
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])
