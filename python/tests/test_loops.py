"""What traced work gives to the event loop of gevent or eventlet: it is that work's, and the loop's own is nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from greenlet_work import INNER, OTHER, WORK, lines_of
from judged import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import Workspace

#: gevent's loops: compiled, and its two others, which are Python's.
LOOPS = ("libev-cext", "libev-cffi", "libuv-cffi")
#: How a callback is given to gevent's loop. Each says `done` when it was called.
GIVEN = {
    "run_callback": "loop.run_callback(called, 1)",
    "threadsafe": "loop.run_callback_threadsafe(called)",
    "timer": "keep(loop.timer(0.001)).start(called, 1)",
    "timer.again": "keep(loop.timer(0.001, 0.001)).again(called)",
    "idle": "keep(loop.idle()).start(called)",
    "check": "keep(loop.check()).start(called)",
    "prepare": "keep(loop.prepare()).start(called)",
    "async": "keep(loop.async_()).start(called), kept[-1].send()",
    "io": "keep(loop.io(ends[0].fileno(), 1)).start(called), ends[1].send(b'x')",
    "io.events": "keep(loop.io(ends[0].fileno(), 1)).start(called, pass_events=True), ends[1].send(b'x')",
    "signal": "keep(loop.signal(signal.SIGUSR1)).start(called), os.kill(os.getpid(), signal.SIGUSR1)",
    "signal_handler": "keep(gevent.signal_handler(signal.SIGUSR1, called)), os.kill(os.getpid(), signal.SIGUSR1)",
    # gevent hears of its end from when it is watched: not before.
    "child": "gevent.os.fork_and_watch(called) and ends[1].send(b'x') or (ends[0].recv(1), os._exit(0))",
    "callback": "keep(loop.timer(0.001)).start(print), setattr(kept[-1], 'callback', called)",
    "spawn": "loop.run_callback(gevent.spawn, called)",
    "spawn_later": "loop.run_callback(gevent.spawn_later, 0.001, called)",
    "partial": "loop.run_callback(functools.partial(called, 1))",
    "next": "loop.run_callback(next, pieces())",
}
GEVENT = """
import functools, os, signal, socket
import gevent, gevent.event, gevent.os, gevent.signal
import playtrace_agent, work

loop, kept, ends = gevent.get_hub().loop, [], socket.socketpair()

def keep(watcher):
    kept.append(watcher)
    return watcher

def called(*_):
    work.inner()
    for one in kept:
        getattr(one, "stop", getattr(one, "cancel", None))()
    done.set()

def pieces():
    yield called()

def give(slug, given):
    global done
    done = gevent.event.Event()
    with playtrace_agent.trace(slug, "r"):
        given()
    # In the meantime, the loop is others'.
    gevent.spawn(work.other).join()
    # Once around: some watchers are called when others have been waited for.
    gevent.sleep(0.001)
    assert done.wait(60), slug
    loop.run_callback(work.other)
    gevent.sleep(0.001)
    for one in kept:
        getattr(one, "close", lambda: None)()
    kept.clear()
    with playtrace_agent.trace(slug, "r"):
        pass

GIVEN
[end.close() for end in ends]
"""


@pytest.mark.parametrize(
    ("loop", "given"),
    [(LOOPS[0], tuple(GIVEN)), *((loop, ("run_callback", "timer", "io", "child")) for loop in LOOPS[1:])],
    ids=LOOPS,
)
def test_gevents_loop_calls_for_whoever_gave_the_callback(
    workspace: Workspace, loop: str, given: tuple[str, ...]
) -> None:
    workspace.write("work.py", WORK)
    calls = "\n".join(f"give({way!r}, lambda: ({GIVEN[way]}))" for way in given)
    workspace.run(GEVENT.replace("GIVEN", calls), env={"GEVENT_LOOP": loop}, warnings="ignore")
    see(workspace, given)


def see(workspace: Workspace, given: Iterable[str]) -> None:
    """See that what each profile gave away was that profile's, and is over."""
    wrote = workspace.look()
    for way in given:
        assert lines_of(workspace, way) == {INNER}, way
        judged = judge(workspace, None, slug=way)
        assert (judged.status, judged.reasons) == ("consistent", []), way
        assert wrote.unclosed(way, "r") == [], way


def test_a_switch_among_the_arguments_is_left_alone(workspace: Workspace) -> None:
    """It wakes a greenlet, which knows whose it is; also where the app has derived a class of its own."""
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, greenlet, playtrace_agent, work

        class Own(greenlet.greenlet):
            pass

        hub = gevent.get_hub()
        for slug, kind in (("p", greenlet.greenlet), ("own", Own)):
            other = kind(work.other, hub)
            with playtrace_agent.trace(slug, "r"):
                hub.loop.run_callback(gevent.spawn, other.switch)
            gevent.sleep(0.001)
            assert other.dead
        """,
        warnings="ignore",
    )
    for slug in ("p", "own"):
        assert lines_of(workspace, slug) == set()
        assert workspace.look().of_kind(slug, "left", "r") == [], slug


def test_what_will_not_be_called_keeps_nothing_open(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, playtrace_agent, work

        loop = gevent.get_hub().loop
        with playtrace_agent.trace("p", "r"):
            callback = loop.run_callback(work.other)
            callback.stop()
            timer = loop.timer(60)
            timer.start(work.other)
            timer.stop()
            for wrong in (lambda: loop.timer(1).start(None), lambda: loop.timer(1).start(3)):
                try:
                    wrong()
                except TypeError:
                    work.inner()
        gevent.sleep(0.001)
        """
    )
    assert lines_of(workspace) == {INNER}
    assert workspace.look().of_kind("p", "left", "r") == []


def test_what_gevent_gives_to_the_loop_itself_is_nobodys(workspace: Workspace) -> None:
    """Its hub tells all who linked to a greenlet that it has ended, be it a greenlet of a class of the app's."""
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import gevent, gevent.event, playtrace_agent, work

        class Own(gevent.Greenlet):
            pass

        class OwnEvent(gevent.event.Event):
            pass

        with playtrace_agent.trace("p", "r"):
            greenlets = [Own.spawn(work.inner), gevent.spawn(work.inner)]
            event = OwnEvent()
        for one in greenlets:
            one.link(lambda _: work.other())
        event.rawlink(lambda _: work.other())
        gevent.joinall(greenlets)
        with playtrace_agent.trace("p", "r"):
            event.set()
        gevent.sleep(0.001)
        """
    )
    assert lines_of(workspace) == {INNER}
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])


#: How a callback is given to eventlet's hub.
SCHEDULED = {
    "global": "hub.schedule_call_global(0, called, 1, two=2)",
    "local": "kept.append(hub.schedule_call_local(0.001, called))",
    "timer": "kept.append(Timer(0, called)), hub.add_timer(kept[-1])",
    "schedule": "kept.append(Timer(0.001, called).schedule())",
    "spawn": "hub.schedule_call_global(0, eventlet.spawn, called)",
    "listener": "kept.append(hub.add(hub.READ, ends[0].fileno(), heard, called, None)), ends[1].send(b'x')",
}
EVENTLET = """
import glob, os, socket
import eventlet, eventlet.event, eventlet.hubs, playtrace_agent, work
from eventlet.hubs.timer import Timer

hub, kept, ends = eventlet.hubs.get_hub(), [], socket.socketpair()

def called(*_, **__):
    work.inner()
    done.send()

def heard(_):
    hub.remove(kept.pop())
    called()

def give(slug, given):
    global done
    done = eventlet.event.Event()
    with playtrace_agent.trace(slug, "r"):
        given()
    eventlet.spawn(work.other).wait()
    done.wait()
    hub.schedule_call_global(0, work.other)
    eventlet.sleep(0.001)
    # Whoever keeps a timer that has run keeps nothing open.
    with playtrace_agent.trace(slug, "r"):
        pass
    [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + f"/.playtrace/{slug}/r/*.ledger")
    text = open(path).read()
    assert text.count('"t":"open"') == text.count('"t":"closed"') >= 2, text

GIVEN
[end.close() for end in ends]
"""


def test_eventlets_hub_calls_for_whoever_gave_the_callback(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    calls = "\n".join(f"give({way!r}, lambda: ({call}))" for way, call in SCHEDULED.items())
    workspace.run(EVENTLET.replace("GIVEN", calls), warnings="ignore")
    see(workspace, SCHEDULED)


def test_a_timer_of_the_apps_own_is_named(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(
        """
        import eventlet, eventlet.hubs, playtrace_agent, work

        class Own:
            seconds, called = 0, False
            def __call__(self):
                self.called = True
                work.other()
            def __lt__(self, other):
                return False

        with playtrace_agent.trace("p", "r"):
            eventlet.hubs.get_hub().add_timer(Own())
            eventlet.sleep(0.001)
        """,
        warnings="ignore",
    )
    assert OTHER not in lines_of(workspace)
    judged = judge(workspace, None)
    assert judged.names("a timer of the class Own is not followed by eventlet's hub"), judged


def test_at_the_end_of_the_interpreter_callbacks_are_given_as_ever(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import eventlet, eventlet.hubs, playtrace_agent
        from playtrace_agent import loops

        with playtrace_agent.trace("p", "r"):
            eventlet.sleep(0)
        # As the interpreter leaves a module that something has a hold of.
        for name in vars(loops):
            if name != "__builtins__":
                setattr(loops, name, None)
        eventlet.hubs.get_hub().schedule_call_global(0, print, "called")
        eventlet.sleep(0.001)
        """,
        warnings="ignore",
    )
    assert (outcome.out, outcome.err) == ("called\n", "")
