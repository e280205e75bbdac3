"""Real servers that switch between greenlets, under eight profiles at once: no line is wrong, none is lost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import eventlet_load
import pytest
from asgi_load import compare, judge_all, most, prepare, requests, send_all, serving
from greenlet_load import APP, KINDS, PYWSGI

if TYPE_CHECKING:
    from conftest import Workspace

#: Each profile comes by each kind.
EACH = len(KINDS)
_GUNICORN = ("gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "warning", "greenlet_app:traced", "--worker-class")
SERVERS = {
    "gunicorn-two-workers": (*_GUNICORN, "gevent", "--workers", "2"),
    # Its threads are the system's, and the only thread's greenlets wait for them.
    "pywsgi": ("pywsgi", "PORT"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_profiles_at_once(workspace: Workspace, server: str) -> None:
    prepare(workspace, EACH, APP, "greenlet_app.py")
    workspace.write("pywsgi.py", PYWSGI)
    with serving(workspace, *SERVERS[server]) as port:
        send_all(port, EACH, kinds=KINDS)
    assert most(workspace) >= 3, "they did not overlap"
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)


def test_started_by_us(workspace: Workspace) -> None:
    """`playtrace-agent run`: nothing of ours in the app."""
    bare = APP.replace("import playtrace_agent.wsgi\n", "").replace("playtrace_agent.wsgi.TraceMiddleware(app)", "app")
    assert "playtrace" not in bare
    prepare(workspace, EACH, bare, "greenlet_app.py")
    with serving(workspace, "playtrace_agent", "run", "--", sys.executable, "-m", *_GUNICORN, "gevent") as port:
        send_all(port, EACH, kinds=KINDS)
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)


#: What is put in place of a part of the agent, or of greenlet, and what the load must see of it.
MUTATIONS = {
    "greenlets-begin-empty": (
        """
        from playtrace_agent import _native

        _native.follow_greenlets = lambda kind: True
        """,
        "lost",
        {"spawned", "pooled", "later", "raw", "unstructured", "after", "killed", "queued"},
    ),
    "what-is-called-by-others-is-not-followed": (
        """
        import playtrace_agent.greenlets

        playtrace_agent.greenlets._spawn = playtrace_agent.greenlets._link = lambda original: original
        """,
        "lost",
        {"threads", "linked", "called_back"},
    ),
    "what-the-loop-calls-is-not-followed": (
        """
        import playtrace_agent.loops

        playtrace_agent.loops._carried = lambda callback, args, carrying: callback
        """,
        "lost",
        {"in_loop", "timed", "watched"},
    ),
    # As it was before greenlet 0.4.17: a switch is not one of contexts.
    "greenlets-share-a-context": (
        """
        import contextvars
        import playtrace_agent.wsgi

        SHARED = contextvars.Context()

        def wrap(app):
            import greenlet

            def shared(environ, start_response):
                greenlet.getcurrent().gr_context = SHARED
                return traced(environ, start_response)

            traced = original(app)
            return shared

        playtrace_agent.wsgi.TraceMiddleware, original = wrap, playtrace_agent.wsgi.TraceMiddleware
        """,
        "wrong",
        {"plain"},
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_load_sees_an_agent_that_is_wrong(workspace: Workspace, mutation: str) -> None:
    text, seen, kinds = MUTATIONS[mutation]
    prepare(workspace, EACH, APP, "greenlet_app.py")
    workspace.write("mutated.py", text)
    workspace.write("pywsgi.py", f"import mutated\n{PYWSGI}")
    with serving(workspace, *SERVERS["pywsgi"]) as port:
        # Taken for work of the request before, one of the same run is not opened.
        send_all(port, EACH, statuses=False, kinds=KINDS)
    names = {request.leaf: request.kind for share in requests(EACH, KINDS) for request in share}
    found = {names[leaf.split(": ")[1]] for leaf in getattr(compare(workspace, EACH), seen)}
    assert found >= kinds, found


def test_eventlet(workspace: Workspace) -> None:
    each = len(eventlet_load.KINDS)
    prepare(workspace, each, eventlet_load.SERVER, "eventlet_server.py")
    with serving(workspace, "eventlet_server", "PORT") as port:
        send_all(port, each, kinds=eventlet_load.KINDS)
    assert most(workspace) >= 3, "they did not overlap"
    found = compare(workspace, each)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, each)
