"""A load for a server whose requests hand their work to other processes, in every way that there is.

As in `asgi_load.py`, each request has one function that no other request calls. Here it is called in another process,
which works for others before and after, or for this request alone.
"""

from __future__ import annotations

import http.client
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asgi_load import PROFILES, RUN, Found, Request, compare, requests, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Workspace

METHODS = ("fork", "spawn", "forkserver")
#: What a request can have the app do: a function of `process_app.py`, and what it is told.
KINDS = (
    # Pools that are made once and serve all profiles in turns.
    *(f"{way}/{method}" for way in ("executor", "mapped", "pool", "imap") for method in METHODS),
    *("recycled/-", "in_loky/-", "in_joblib/-", "loop/spawn"),
    # Processes and programs of one request.
    *(f"process/{method}" for method in METHODS),
    *("initializer/-", "forked/-", "program/plain", "program/grandchild", "program/replaced", "clean/-", "shell/-"),
    *("env/-", "coroutine/-", "posix/-", "system/-", "daemon/-"),
)
#: With so many requests of each profile, everything is done at least once.
SHORT = 4
THREADS = 9


@dataclass(frozen=True)
class Answer:
    """How a request went; seconds of the client's clock."""

    request: Request
    said: str
    trace: str | None
    pid: int
    began: float
    ended: float


def kind(request: Request) -> str:
    """Return what a request has the app do; in the course of time each profile does everything."""
    return KINDS[(request.number + SHORT * request.profile) % len(KINDS)]


def prepare(workspace: Workspace, each: int, mutation: str = "") -> None:
    """Write the app, and the functions of so many requests; each process has an agent with that fault."""
    for name in ("process_app.py", "process_tool.py"):
        shutil.copy(Path(__file__).with_name(name), workspace.app)
    ours = [request for share in requests(each) for request in share]
    ours.sort(key=lambda request: (request.profile, request.number))
    text = [f'def {request.leaf}():\n    return "{request.leaf}"\n\n\n' for request in ours]
    if mutation:
        # At the end: the lines stay where they are.
        workspace.write("mutated.py", MUTATIONS[mutation][0])
        text.append("import mutated\n")
    workspace.write("leaves.py", "".join(text))


def send_all(port: int, each: int) -> list[Answer]:
    """Send everything, each connection's share beside the others; each must be answered, and have the right status."""
    shares = requests(each)
    with ThreadPoolExecutor(len(shares)) as pool:
        answers = [answer for found in pool.map(lambda share: _send(port, share), shares) for answer in found]
    for answer in answers:
        status = "on" if answer.request.profile < PROFILES else None
        assert (answer.said, answer.trace) == (answer.request.leaf, status), (kind(answer.request), answer)
    return answers


def _send(port: int, share: Sequence[Request]) -> list[Answer]:
    answers = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=200)
    for request in share:
        headers = {}
        if request.profile < PROFILES:
            headers = {
                "X-Profile-Trace": request.slug,
                "X-Profile-Trace-Run": RUN,
                "X-Profile-Trace-Step": str(request.number + 1),
            }
        began = time.monotonic()
        connection.request("GET", f"/{kind(request)}/{request.leaf}", headers=headers)
        response = connection.getresponse()
        said, _, pid = response.read().decode().partition(" ")
        assert response.status == 200, (kind(request), response.status, said, pid)
        trace = response.getheader("X-Profile-Trace-Status")
        answers.append(Answer(request, said, trace, int(pid), began, time.monotonic()))
    connection.close()
    return answers


def load(workspace: Workspace, each: int, mutation: str = "", *, workers: int = 1) -> tuple[Found, list[Answer]]:
    """Serve with so many processes, send everything, and compare what came of it."""
    prepare(workspace, each, mutation)
    options = ("--worker-class", "gthread", "--workers", str(workers), "--threads", str(THREADS), "--timeout", "300")
    command = ("gunicorn", "--bind", "127.0.0.1:PORT", *options, "--log-level", "warning", "process_app:traced")
    with serving(workspace, *command) as port:
        answers = send_all(port, each)
    return compare(workspace, each), answers


#: What is put in place of a part of the agent, in the app's processes before it is switched on and in all others when
#: they come to their first function; and what the load must see of it.
MUTATIONS = {
    "a-worker-stays-with-its-first-call": (
        """
        from playtrace_agent import workitems

        begin, first = workitems.Promise.begin, []

        def same(self):
            first[:] = first or [self]
            return begin(self._replace(slug=first[0].slug, run=first[0].run))

        workitems.Promise.begin = same
        """,
        "wrong",
    ),
    "a-worker-stays-in-a-call-that-is-over": (
        """
        from playtrace_agent import answers

        answers.leave = lambda *args: None
        """,
        "wrong",
    ),
    "programs-are-not-told": (
        """
        from playtrace_agent import children

        children._variables = lambda *args: {}
        """,
        "lost",
    ),
    "new-processes-are-not-told": (
        """
        from playtrace_agent import multiprocess

        multiprocess.change_spawn = lambda module: None
        """,
        "lost",
    ),
}
