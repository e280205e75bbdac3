"""Daemon threads that are at work when the interpreter ends: CPython ends them where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
import contextvars, threading, time

begun = threading.Semaphore(0)


def goes_on(*_):
    begun.release()
    while True:
        time.sleep(0.0001)


def app(environ, start_response):
    start_response("200 OK", [])
    return WAYS[environ["PATH_INFO"]]()


class Closed:
    def __iter__(self):
        return iter([b"a"])

    def close(self):
        goes_on()


def piece():
    yield b"a"
    goes_on()


def ends():
    try:
        yield b"a"
        yield b"b"
    finally:
        goes_on()


class Cycle:
    def __init__(self):
        self.me, self.context = self, contextvars.copy_context()

    def __del__(self):
        goes_on()


def left():
    Cycle()
    return []


WAYS = {"/": goes_on, "/left": left, "/piece": piece, "/close": Closed, "/end": ends, "/quick": list}
"""
FIRST_PIECE = """
def first_piece():
    body = client.app({"HTTP_X_PROFILE_TRACE": "p", "PATH_INFO": "/end"}, lambda *_: None)
    next(body)
    body.close()

"""
ENVIRON = """
ENVIRON = {"HTTP_X_PROFILE_TRACE": "p", "PATH_INFO": "/"}
PLAIN = {"PATH_INFO": "/"}
"""
BLOCKS = """
def blocks():
    work.begun.release()
    while True:
        with playtrace_agent.trace("p", "r"):
            pass

"""
SCRIPTS = {
    "request": "threading.Thread(target=client.get, daemon=True).start()",
    "another request": "client.get('/quick')\nthreading.Thread(target=client.get, daemon=True).start()",
    "request without the header": "threading.Thread(target=client.app, args=[PLAIN, print], daemon=True).start()",
    "piece of a body": "threading.Thread(target=client.get, args=['/piece'], daemon=True).start()",
    "close of a body": "threading.Thread(target=client.get, args=['/close'], daemon=True).start()",
    "end of a body": "threading.Thread(target=first_piece, daemon=True).start()",
    "what a request left": "threading.Thread(target=client.get, args=['/left'], daemon=True).start()",
    "start_response": "threading.Thread(target=client.app, args=[ENVIRON, work.goes_on], daemon=True).start()",
    "thread": 'with playtrace_agent.trace("p"):\n    threading.Thread(target=work.goes_on, daemon=True).start()',
    "pool": 'pool = ThreadPool(3)\nwith playtrace_agent.trace("p"):\n    pool.map_async(work.goes_on, range(3), 1)',
    "block": "logging.basicConfig(level=logging.INFO, stream=io.StringIO())\n"
    "threading.Thread(target=blocks, daemon=True).start()",
    "import": 'def start():\n    with playtrace_agent.trace("p"):\n        import lazy\n'
    "threading.Thread(target=start, daemon=True).start()",
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_the_process_ends_as_it_would_without_us(workspace: Workspace, what: str) -> None:
    workspace.write("driver_client.py", CLIENT)
    workspace.write("work.py", WORK)
    workspace.write("lazy.py", "import work\nwork.goes_on()\n")
    begin = "import io, logging, threading, playtrace_agent, work\nfrom multiprocessing.pool import ThreadPool\n"
    begin += "from driver_client import Client\nclient = Client(work.app)\n"
    begin += FIRST_PIECE + ENVIRON + BLOCKS
    for _ in range(4):
        # A pool that nobody closed is what the interpreter would warn of.
        outcome = workspace.run(f"{begin}{SCRIPTS[what]}\nwork.begun.acquire()\n", warnings="ignore")
        assert outcome.err == ""
