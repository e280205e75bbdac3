"""Real ASGI servers under eight profiles at once: no line is wrong, none is lost, and the verdict says so."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import asgi_load
import pytest
from asgi_load import compare, judge_all, most, prepare, send_all, serving, settle
from asgi_load_app import APP
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

EACH = 24
#: CPython 3.11 and before, which the coverage engine is for, set a trace function at once. Later ones instrument
#: all code anew, for each step of a request: there each profile sends one request of each kind.
EACH_BY_COVERAGE = EACH if sys.version_info < (3, 12) else len(asgi_load.KINDS)
_UVICORN = ("uvicorn", "--port", "PORT", "--log-level", "warning", "asgi_app:traced")
_GRANIAN = ("granian", "--interface", "asgi", "--port", "PORT", "asgi_app:traced")
_HYPERCORN = ("hypercorn", "--bind", "127.0.0.1:PORT", "asgi_app:traced")
SERVERS = {
    "uvicorn": (*_UVICORN, "--loop", "asyncio", "--http", "h11"),
    "uvicorn-uvloop": (*_UVICORN, "--loop", "uvloop", "--http", "httptools"),
    "uvicorn-two-workers": (*_UVICORN, "--workers", "2"),
    "uvicorn-reload": (*_UVICORN, "--reload"),
    "granian": _GRANIAN,
    "granian-two-workers": (*_GRANIAN, "--workers", "2"),
    "daphne": ("daphne", "--port", "PORT", "--verbosity", "0", "asgi_app:traced"),
    "hypercorn": _HYPERCORN,
    "hypercorn-trio": (*_HYPERCORN, "--worker-class", "trio"),
    "gunicorn-uvicorn": (
        *("gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--log-level", "warning"),
        *("--worker-class", "uvicorn_worker.UvicornWorker", "asgi_app:traced"),
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_profiles_at_once(workspace: Workspace, server: str) -> None:
    prepare(workspace, EACH)
    with serving(workspace, *SERVERS[server]) as port:
        send_all(port, EACH)
        settle(workspace)
    # Of several workers, one may have got nearly all connections.
    assert most(workspace) >= 3, "they did not overlap"
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)


@pytest.mark.parametrize("line", [False, True], ids=["without the line", "with both"])
@pytest.mark.parametrize(
    "server", ["uvicorn", "uvicorn-two-workers", "hypercorn", "gunicorn-uvicorn", "granian-two-workers", "daphne"]
)
def test_started_by_us(workspace: Workspace, server: str, *, line: bool) -> None:
    """`playtrace-agent run`: nothing of ours in the app, or a line besides."""
    prepare(workspace, EACH)
    if not line:
        bare = APP.replace("import playtrace_agent.asgi\n", "").replace("playtrace_agent.asgi.wrap(app)", "app")
        assert "playtrace" not in bare
        workspace.write("asgi_app.py", bare)
    with serving(workspace, "playtrace_agent", "run", "--", sys.executable, "-m", *SERVERS[server]) as port:
        send_all(port, EACH)
        settle(workspace)
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn-trio"])
def test_profiles_at_once_by_the_coverage_engine(workspace: Workspace, server: str) -> None:
    prepare(workspace, EACH_BY_COVERAGE)
    with serving(workspace, *SERVERS[server], PROFILE_COVERAGE_ENGINE="coverage") as port:
        send_all(port, EACH_BY_COVERAGE)
    assert most(workspace) >= 3, "they did not overlap"
    found = compare(workspace, EACH_BY_COVERAGE)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH_BY_COVERAGE)


#: What is put in place of a part of the agent, and what the load must see of it.
MUTATIONS = {
    # The server's next request, reader and timer take along the context of a request that sends or receives.
    "the-server-works-for-the-request": (
        """
        import playtrace_agent.steps

        playtrace_agent.steps.Outside.receiving = lambda self, receive: receive
        playtrace_agent.steps.Outside.sending = lambda self, send, prepare: lambda message: send(prepare(message))
        """,
        "wrong",
    ),
    # As a variable would be that is set where the app is called, and set back before it is awaited.
    "nobody's-after-the-first-step": (
        """
        import playtrace_agent.steps

        within = playtrace_agent.steps.Within
        init = within.__init__

        within.__init__ = lambda self, *args: (init(self, *args), setattr(self, "step", once(self.step)))[0]

        def once(step):
            steps = iter([step])
            return lambda work, *args: next(steps, lambda work, *args: work(*args))(work, *args)
        """,
        "lost",
    ),
    # Tasks that begin with an empty context.
    "tasks-lose-their-context": (
        """
        import asyncio, contextvars

        asyncio.BaseEventLoop.create_task, create = (
            lambda self, coro, **more: create(self, coro, **{**more, "context": contextvars.Context()}),
            asyncio.BaseEventLoop.create_task,
        )
        """,
        "lost",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_load_sees_an_agent_that_is_wrong(workspace: Workspace, mutation: str) -> None:
    prepare(workspace, EACH)
    text, seen = MUTATIONS[mutation]
    workspace.write("mutated.py", text)
    workspace.write("asgi_app.py", f"import mutated\n{APP}")
    with serving(workspace, *SERVERS["uvicorn"]) as port:
        # Taken for work of the request before, one of the same run is not opened.
        send_all(port, EACH, statuses=False)
    assert getattr(compare(workspace, EACH), seen)


def test_a_request_that_waits_in_the_pipeline_is_not_work_of_the_one_before(workspace: Workspace) -> None:
    prepare(workspace, 1)
    with serving(workspace, *SERVERS["uvicorn"]) as port, socket.create_connection(("127.0.0.1", port), 30) as client:
        traced, plain = asgi_load.Request(0, 0), asgi_load.Request(0, asgi_load.PROFILES)
        client.sendall(
            f"GET /plain/{traced.leaf} HTTP/1.1\r\nHost: x\r\nX-Profile-Trace: {traced.slug}\r\n\r\n"
            f"GET /plain/{plain.leaf} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"done") == 2
    wrote = workspace.look()
    assert wrote.lines(traced.slug, "leaves.py") == [2]
    # Neither its timer nor its reader keeps it open.
    assert wrote.of_kind(traced.slug, "left") == [] == wrote.unclosed(traced.slug)


def test_the_verdict_sees_threads_that_are_kept_for_the_first_request(workspace: Workspace) -> None:
    prepare(workspace, EACH)
    workspace.write(
        "mutated.py",
        "import playtrace_agent.propagation as p, playtrace_agent.thread_pools as q\n\n"
        "p.serves_all = q.serves_all = lambda *args, **more: None\n",
    )
    workspace.write("asgi_app.py", f"import mutated\n{APP}")
    with serving(workspace, *SERVERS["uvicorn"]) as port:
        send_all(port, EACH)
        judged = [judge(workspace, ["on"] * EACH, slug=f"slug-{n}", run=asgi_load.RUN, keep=True) for n in range(8)]
    assert any(one.names("thread") for one in judged), judged
