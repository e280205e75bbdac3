"""Contexts of greenlets: what they get, and whose the code is that runs in an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenlet_work import INNER, OTHER, WORK, lines_of
from judged import CLIENT, judge

if TYPE_CHECKING:
    from conftest import Workspace


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
        assert OTHER not in lines_of(workspace, slug)
        assert INNER in lines_of(workspace, slug)
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
    assert (lines_of(workspace), lines_of(workspace, "q")) == ({INNER}, set())


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
    assert lines_of(workspace) == {OTHER}
    judged = judge(workspace, None)
    assert judged.status == "partial"
    assert judged.names("greenlets are not followed")


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


def test_an_interpreter_whose_types_look_otherwise(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import logging, playtrace_agent
        from playtrace_agent import _native

        logging.basicConfig(format="LOG %(message)s")
        _native.follow_greenlets = lambda kind: False
        with playtrace_agent.trace("q", "r"):
            pass
        import gevent, work

        with playtrace_agent.trace("p", "r"):
            work.other()
            assert gevent.spawn(work.inner).get() == b"inner"
        """
    )
    assert outcome.err.count("greenlets are not followed") == 1
    assert lines_of(workspace) == {OTHER}
    assert judge(workspace, None).names("greenlets are not followed")


def test_greenlets_that_enqueue_at_once_take_back_their_own_promises(workspace: Workspace) -> None:
    """A broker is asked over the network: meanwhile others of the thread enqueue, and fail."""
    outcome = workspace.run(
        """
        import gevent, gevent.event
        from playtrace_agent import jobs

        gone, kept = gevent.event.Event(), []

        @jobs.withdrawing
        def slow(name):
            jobs.may_fail(lambda error: kept.append(name))
            gone.wait()

        @jobs.withdrawing
        def refused(name):
            jobs.may_fail(lambda error: kept.append(name))
            gevent.sleep(0)
            gone.set()
            raise OSError(name)

        first, second = gevent.spawn(refused, "refused"), gevent.spawn(slow, "sent")
        first.join(), second.get()
        print(kept)
        """
    )
    assert outcome.out.strip() == "['refused']"
