"""Real servers that switch between greenlets, under eight profiles at once: no line is wrong, none is lost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from asgi_load import compare, judge_all, most, prepare, send_all, serving
from greenlet_load import APP, KINDS, PYWSGI

if TYPE_CHECKING:
    from conftest import Workspace

#: Each profile comes by each kind twice.
EACH = 2 * len(KINDS)
_GUNICORN = ("gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "warning", "greenlet_app:traced", "--worker-class")
SERVERS = {
    "gunicorn": (*_GUNICORN, "gevent"),
    "gunicorn-two-workers": (*_GUNICORN, "gevent", "--workers", "2"),
    "gunicorn-pywsgi": (*_GUNICORN, "gevent_pywsgi"),
    "pywsgi": ("pywsgi", "PORT"),
    "pywsgi-patched": ("pywsgi", "PORT", "patched"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_profiles_at_once(workspace: Workspace, server: str) -> None:
    prepare(workspace, EACH, APP, "greenlet_app.py")
    workspace.write("pywsgi.py", PYWSGI)
    with serving(workspace, *SERVERS[server]) as port:
        send_all(port, EACH, kinds=KINDS)
        overlapping = max(most(port) for _ in range(20))
    assert overlapping >= 3, "they did not overlap"
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)


@pytest.mark.parametrize("server", ["gunicorn", "gunicorn-two-workers"])
def test_started_by_us(workspace: Workspace, server: str) -> None:
    """`playtrace-agent run`: nothing of ours in the app."""
    bare = APP.replace("import playtrace_agent.wsgi\n", "").replace("playtrace_agent.wsgi.TraceMiddleware(app)", "app")
    assert "playtrace" not in bare
    prepare(workspace, EACH, bare, "greenlet_app.py")
    with serving(workspace, "playtrace_agent", "run", "--", sys.executable, "-m", *SERVERS[server]) as port:
        send_all(port, EACH, kinds=KINDS)
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)
