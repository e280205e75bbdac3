"""The app of the tests of the coverage engine: each view is a function, and which lines it executes is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

ENGINE = {"PROFILE_COVERAGE_ENGINE": "coverage"}

WORK = """
import threading


def ash():
    return branch(3)


def branch(n):
    if n > 2:
        return "big"
    return "small"


def birch():
    found = []
    thread = threading.Thread(target=grow, args=(found,))
    thread.start()
    thread.join()
    return found[0]


def grow(found):
    found.append([n for n in range(3)])


def cedar():
    try:
        fails()
    except ValueError as error:
        return str(error)


def fails():
    try:
        raise ValueError("on purpose")
    finally:
        branch(1)


def dogwood():
    def pieces():
        yield "one"
        yield "two"

    return sum(len(piece) for piece in pieces())


def elm():
    import lazy
    return lazy.name()
"""
#: The lines of it that its functions execute.
ASH, CEDAR, DOGWOOD = [5, 9, 10], [9, 11, 27, 28, 29, 30, 34, 35, 37], [41, 42, 43, 45]
LAZY = """
NAME = "elm"


def name():
    return NAME
"""
#: Answers `/<name>` with what the function of that name returns.
CLIENT = """
import logging, threading
import playtrace_agent.wsgi
import work

logging.basicConfig(level=logging.INFO, format="LOG %(levelname)s %(message)s")
VIEWS = {}


def application(environ, start_response):
    name = environ["PATH_INFO"][1:]
    start_response("200 OK", [])
    return [str(VIEWS.get(name, getattr(work, name, None))()).encode()]


wrapped = playtrace_agent.wsgi.wrap(application)


def get(name, slug=None, run="r"):
    seen = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/" + name}
    if slug:
        environ |= {"HTTP_X_PROFILE_TRACE": slug, "HTTP_X_PROFILE_TRACE_RUN": run}
    list(wrapped(environ, lambda line, headers, exc_info=None: seen.extend(headers)))
    return dict(seen).get("X-Profile-Trace-Status")


def inside(name="held"):
    # A view that says that it began, and goes on when it is told to.
    began, go = threading.Event(), threading.Event()

    def view():
        began.set()
        assert go.wait(60)
        return work.ash()

    VIEWS[name] = view
    return began, go


def started(*args, **options):
    thread = threading.Thread(target=lambda: STATUSES.__setitem__(args[0], get(*args, **options)))
    thread.start()
    return thread


STATUSES = {}
"""


def prepare(workspace: Workspace) -> Workspace:
    """Put the app into a workspace."""
    workspace.write("work.py", WORK)
    workspace.write("lazy.py", LAZY)
    workspace.write("client.py", CLIENT)
    workspace.write("coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit = driver*.py,client.py\n")
    return workspace
