"""What traced work does with greenlets, in one process: whose it is, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge, statuses

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
    import contextvars

    import gevent


    def inner():
        return b"inner"


    def other():
        return b"other"


    def forked():
        return b"forked"


    def in_between(events):
        events[0].set()
        events[1].wait()
        return inner()


    def empty(events):
        events[0].set()
        events[1].wait()
        return contextvars.Context().run(other)
"""
INNER, OTHER, FORKED = 7, 11, 15


def _lines(workspace: Workspace, slug: str = "p") -> set[int]:
    return set(workspace.look().ledger_lines(slug, "r").get(f"profile:{slug}", {}).get("work.py", []))


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
            assert pool.map(lambda _: work.inner(), range(4)) == [executor.submit(work.inner).result()] * 4
        for one in (gevent.spawn(work.other), gevent.get_hub().threadpool.spawn(work.other), pool.spawn(work.other)):
            one.get()
        executor.submit(work.other).result()
        """
    )
    assert _lines(workspace) == {INNER}
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


def test_a_greenlet_beside_traced_ones_is_not_within_them(workspace: Workspace) -> None:
    """Requests wait in the middle of the agent's own functions, one within the other on the stack of their thread."""
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, work
        from driver_client import Client

        def app(environ, start_response):
            start_response("200 OK", [])
            return [work.in_between(environ["PATH_INFO"][1:] == "a" and a or b)]

        a, b = [(gevent.event.Event(), gevent.event.Event()) for _ in range(2)]
        clients = [Client(app), Client(app)]
        # The greenlet that lives as long as the process, and one that was made before anybody was traced.
        beside = gevent.spawn(lambda: (b[0].wait(), work.other()))
        running = [gevent.spawn(clients[0].get, "/a"), gevent.spawn(clients[1].get, "/b", "q")]
        a[0].wait(), b[0].wait()
        work.other()
        a[1].set(), running[0].get()
        work.other()
        b[1].set(), running[1].get(), beside.get()
        work.other()
        """
    )
    for slug in ("p", "q"):
        assert OTHER not in _lines(workspace, slug)
        assert INNER in _lines(workspace, slug)
        judged = judge(workspace, None, slug=slug)
        assert (judged.status, judged.reasons) == ("consistent", [])


def test_an_empty_context_is_named_for_the_greenlet_that_runs_in_it(workspace: Workspace) -> None:
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, work
        from driver_client import Client

        def app(environ, start_response):
            start_response("200 OK", [])
            return [getattr(work, environ["PATH_INFO"][1:])(events[environ["PATH_INFO"][1:]])]

        events = {name: (gevent.event.Event(), gevent.event.Event()) for name in ("empty", "in_between")}
        first, second = gevent.spawn(Client(app).get, "/empty"), gevent.spawn(Client(app).get, "/in_between", "q")
        for entered, _ in events.values():
            entered.wait()
        events["empty"][1].set(), first.get()
        events["in_between"][1].set(), second.get()
        """
    )
    assert judge(workspace, None).names("code ran in a context that knows no profile")
    judged = judge(workspace, None, slug="q")
    assert (judged.status, judged.reasons) == ("consistent", [])


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
    assert _lines(workspace) == {INNER, OTHER, FORKED}
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
    assert (_lines(workspace), _lines(workspace, "q")) == ({INNER}, {OTHER})
    assert workspace.look().unclosed("p", "r") == []


def test_a_greenlet_gets_a_context_and_nothing_else(workspace: Workspace) -> None:
    """Classes from before the agent, a class with ideas of its own, variables of the app, contexts of the app."""
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import contextvars, greenlet

        class Early(greenlet.greenlet):
            pass

        class Own(greenlet.greenlet):
            __slots__ = ("told",)

            def __new__(cls, *args):
                return super().__new__(cls)

            def __init__(self, *args):
                greenlet.greenlet.__init__(self, *args)
                self.told = []

            def __setattr__(self, name, value):
                assert name != "gr_context"
                super().__setattr__(name, value)

            def __getattribute__(self, name):
                assert name not in ("gr_context", "dead")
                return super().__getattribute__(name)

        import playtrace_agent, work

        variable = contextvars.ContextVar("variable", default="unset")
        makers = [greenlet.greenlet, Early, Own]

        def run():
            return variable.get(), work.inner()

        assert all(make(run).switch() == ("unset", b"inner") for make in makers)
        with playtrace_agent.trace("q", "r"):
            pass
        assert greenlet.greenlet(run).gr_context is None
        variable.set("set")
        with playtrace_agent.trace("p", "r"):
            made = [make(run) for make in makers]
            own = greenlet.greenlet(work.other)
            own.gr_context = contextvars.Context()
            assert all(list(one.gr_context)[0].name == "playtrace_agent" for one in made[:2])
        with playtrace_agent.trace("q", "r"):
            assert [one.switch() for one in made] == [("unset", b"inner")] * 3
            own.switch()
        assert [type(greenlet.greenlet.__new__(kind)) for kind in makers] == makers
        """
    )
    assert (_lines(workspace), _lines(workspace, "q")) == ({INNER}, set())


def test_left_out(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, playtrace_agent, work

        with playtrace_agent.trace("p", "r"):
            work.other()
            assert gevent.spawn(work.inner).get() == gevent.get_hub().threadpool.apply(work.inner)
        """,
        env={"PROFILE_COVERAGE_DISABLE": "greenlets"},
    )
    assert _lines(workspace) == {OTHER}
    judged = judge(workspace, None)
    assert judged.status == "partial"
    assert judged.names("greenlets are not followed")


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
    assert _lines(workspace) == {INNER}
    judged = judge(workspace, statuses(outcome))
    assert (judged.status, judged.reasons) == ("complete", [])


def test_a_frame_that_waited_when_the_process_began_to_listen(workspace: Workspace) -> None:
    """Where others wait: in no thread's stack. A block of its own work stands in the middle of it."""
    source = """
    import playtrace_agent


    def consumer(first, second):
        first.wait()
        taken = 1
        with playtrace_agent.trace("q", "r"):
            taken += 1
            second.wait()
            taken += 1
        return taken
    """
    workspace.write("consumer.py", source)
    workspace.run(
        """
        import gevent, consumer, playtrace_agent

        first, second = gevent.event.Event(), gevent.event.Event()
        waiting = gevent.spawn(consumer.consumer, first, second)
        gevent.sleep(0)
        with playtrace_agent.trace("p", "r"):
            pass
        first.set(), gevent.sleep(0)
        with playtrace_agent.trace("p", "r"):
            second.set()
        assert waiting.get() == 3
        """
    )
    found = workspace.look().ledger_lines("q", "r")["profile:q"]["consumer.py"]
    assert set(found) >= {8, 9, 10}
    assert "profile:p" not in workspace.look().ledger_lines("p", "r")
