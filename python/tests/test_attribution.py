"""A line is credited to the profile whose work executed it: threads, pools, generators, many contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from coverage.numbits import nums_to_numbits

if TYPE_CHECKING:
    from conftest import Workspace

PARTS = """
def part(n):
    if n == 0:
        return zero()
    if n == 1:
        return one()
    return many(n)


def zero():
    return 0


def one():
    return 1


def many(n):
    total = 0
    for i in range(n):
        total += i
    return total
"""
#: What `part(n)` executes.
PART = {0: [2, 3, 10], 1: [2, 4, 5, 14], 2: [2, 4, 6, 18, 19, 20, 21]}


def numbits_hex(lines: set[int]) -> str:
    """Return lines as the ledger spells them."""
    return nums_to_numbits(lines).hex()


@pytest.fixture
def parts(workspace: Workspace) -> Workspace:
    workspace.write("parts.py", PARTS)
    return workspace


def test_two_requests_at_once_get_their_own_lines(parts: Workspace) -> None:
    parts.write(
        "meeting.py",
        """
        import threading

        barrier = threading.Barrier(2, timeout=20)

        def zero():
            barrier.wait()
            first = 1
            barrier.wait()
            return first

        def one():
            barrier.wait()
            second = 1
            second = 2
            barrier.wait()
            return second
        """,
    )
    outcome = parts.run(
        """
        import threading, meeting, playtrace_agent.wsgi

        def app(environ, start_response):
            start_response("200 OK", [])
            getattr(meeting, environ["PATH_INFO"])()
            return [b""]

        traced = playtrace_agent.wsgi.TraceMiddleware(app)

        def request(path, slug):
            environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
            if slug:
                environ["HTTP_X_PROFILE_TRACE"] = slug
            traced(environ, lambda status, headers: None)

        for slugs in [("left", "right"), ("left", None), (None, "third")]:
            threads = [threading.Thread(target=request, args=(path, slug))
                       for path, slug in zip(("zero", "one"), slugs, strict=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """
    )
    assert outcome.wrote.contexts() == {
        "profile:left": {"meeting.py": [6, 7, 8, 9]},
        "profile:right": {"meeting.py": [12, 13, 14, 15, 16]},
        "profile:third": {"meeting.py": [12, 13, 14, 15, 16]},
    }


def test_threads_pools_and_timers_belong_to_who_started_them(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import threading, asyncio, parts, playtrace_agent
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)
        with playtrace_agent.trace("thread"):
            thread = threading.Thread(target=parts.part, args=(0,))
            thread.start()
        thread.join()
        with playtrace_agent.trace("timer"):
            timer = threading.Timer(0.01, parts.part, (1,))
            timer.start()
        timer.join()
        with playtrace_agent.trace("pool"):
            done = pool.submit(parts.part, 0)
        done.result()
        pool.submit(parts.part, 1).result()          # nobody's, in a thread that "pool" made
        with playtrace_agent.trace("map"):
            assert list(pool.map(parts.part, [2])) == [1]
        with playtrace_agent.trace("to-thread"):
            asyncio.run(asyncio.to_thread(parts.part, 0))

        async def in_executor():
            await asyncio.get_running_loop().run_in_executor(None, parts.part, 1)
            await asyncio.gather(*(asyncio.create_task(task(n)) for n in (0, 2)))

        async def task(n):
            await asyncio.sleep(0)
            parts.part(n)

        with playtrace_agent.trace("executor"):
            asyncio.run(in_executor())
        with playtrace_agent.trace("cancelled"):
            event = threading.Event()
            blocked = pool.submit(event.wait)
            never = pool.submit(parts.part, 0)
            assert never.cancel()
            event.set()
            blocked.result()
        pool.shutdown()
        """
    )
    wrote = outcome.wrote
    for slug, parts_run in {"thread": [0], "timer": [1], "pool": [0], "map": [2], "to-thread": [0]}.items():
        assert wrote.lines(slug, "parts.py") == sorted({n for part in parts_run for n in PART[part]}), slug
        assert wrote.unclosed(slug) == [], slug
        assert {record["kind"] for record in wrote.of_kind(slug, "open")} == {"block", "thread"}, slug
    assert wrote.lines("executor", "parts.py") == sorted({*PART[0], *PART[1], *PART[2]})
    assert wrote.lines("cancelled", "parts.py") == []
    assert wrote.unclosed("cancelled") == []


def test_a_thread_that_cannot_start_closes_its_unit(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import threading, playtrace_agent

        with playtrace_agent.trace("t"):
            thread = threading.Thread(target=print)
            thread.start()
            thread.join()
            try:
                thread.start()
            except RuntimeError as error:
                print(error)
        """
    )
    assert "threads can only be started once" in outcome.out
    assert outcome.wrote.unclosed("t") == []
    assert len(outcome.wrote.of_kind("t", "open")) == 2


def test_a_context_entered_inside_a_running_frame_gets_the_rest(workspace: Workspace) -> None:
    workspace.write(
        "running.py",
        """
        import playtrace_agent

        def work(slug, times):
            for _ in range(times):
                with playtrace_agent.trace(slug):
                    a = 1
                    b = 2
                    (lambda: a)()
                c = 3
            return b + c
        """,
    )
    outcome = workspace.run("import running\nrunning.work('a', 200)\nrunning.work('b', 1)\nrunning.work('c', 1)\n")
    # Leaving the block is an event on the line of the `with`.
    expected = {"running.py": [5, 6, 7, 8]}
    assert outcome.wrote.contexts() == {f"profile:{slug}": expected for slug in "abc"}


def test_nested_blocks_give_each_its_own(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import parts, playtrace_agent

        assert playtrace_agent.current_slug() is None
        with playtrace_agent.trace("outer"):
            parts.part(0)
            with playtrace_agent.trace("inner"):
                assert playtrace_agent.current_slug() == "inner"
                parts.part(1)
            assert playtrace_agent.current_slug() == "outer"
            parts.part(2)
        assert playtrace_agent.current_slug() is None
        parts.part(1)
        """
    )
    assert outcome.wrote.lines("outer", "parts.py") == sorted({*PART[0], *PART[2]})
    assert outcome.wrote.lines("inner", "parts.py") == PART[1]


def test_more_contexts_at_once_than_there_are_slots(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import contextlib, parts, playtrace_agent

        for _ in range(2000):
            parts.part(0), parts.part(1), parts.part(2)
        with contextlib.ExitStack() as stack:
            for n in range(90):
                stack.enter_context(playtrace_agent.trace(f"p{n}"))
                for _ in range(150 if n % 10 == 0 else 1):
                    parts.part(n % 3)
        """
    )
    contexts = outcome.wrote.contexts()
    assert contexts == {f"profile:p{n}": {"parts.py": PART[n % 3]} for n in range(90)}


def test_two_runs_of_a_profile_each_report_all_their_lines(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import parts, playtrace_agent

        for run in ("one", "two"):
            with playtrace_agent.trace("p", run):
                for _ in range(300):
                    parts.part(2)
        """
    )
    assert len(outcome.wrote.shards("p")) == 2
    for run in ("one", "two"):
        assert outcome.wrote.ledger_lines("p", run) == {"profile:p": {"parts.py": PART[2]}}


def test_many_runs_in_one_process_leave_nothing_open(parts: Workspace) -> None:
    outcome = parts.run(
        """
        import os, parts, playtrace_agent

        for n in range(200):
            with playtrace_agent.trace("p", f"r{n}"):
                parts.part(n % 3)
        print(len(os.listdir("/proc/self/fd")))
        """
    )
    assert int(outcome.out) < 150
    for n in (0, 100, 199):
        assert outcome.wrote.ledger_lines("p", f"r{n}") == {"profile:p": {"parts.py": PART[n % 3]}}


@pytest.mark.parametrize("passing_by", ["playtrace_agent.trace('other')", "untraced()"])
def test_a_run_that_rested_goes_on(parts: Workspace, passing_by: str) -> None:
    outcome = parts.run(
        f"""
        import contextlib, time, parts, playtrace_agent
        from playtrace_agent import _native


        @contextlib.contextmanager
        def untraced():
            # As the middleware does for a request without the header.
            _native.rest()
            yield


        def number():
            # The token itself must not be kept: it would keep the run at work.
            token = _native.enter(None)
            _native.enter(token)
            return token.number


        with playtrace_agent.trace("p", "r"):
            parts.part(0)
            first = number()
        with playtrace_agent.trace("p", "r"):
            assert number() == first
        end = time.monotonic() + 6
        while time.monotonic() < end:
            with {passing_by}:
                parts.part(1)
            # The processor is for others meanwhile.
            time.sleep(0.01)
        with playtrace_agent.trace("p", "r"):
            assert number() != first
            parts.part(0)
            parts.part(2)
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": "profile"},
    )
    assert outcome.wrote.lines("p", "parts.py") == sorted({*PART[0], *PART[2]})
    # What was written before it rested is not written again.
    second = [record.get("new") for record in outcome.wrote.of_kind("p", "closed", "r")][2]
    assert second is not None
    assert len(outcome.wrote.shards("p")) == 1
    assert second == {"profile:p": {"parts.py": numbits_hex(set(PART[2]) - set(PART[0]))}}


STRESS = """
import json, random, sys, threading
import playtrace_agent, playtrace_agent.wsgi
import parts
MUTATION

THREADS, REQUESTS, SLUGS = 8, 150, 8
sys.setswitchinterval(2e-5)
names = [f"p{n}" for n in range(SLUGS)]
functions = {name: getattr(parts, name) for name in dir(parts) if name[0] == 'p'}


def app(environ, start_response):
    start_response("200 OK", [])
    name = environ["PATH_INFO"]
    functions[name](3)
    # Half of it is streamed, and some of it is done by a thread.
    worker = threading.Thread(target=functions[name + "_thread"], args=(2,)) if environ["N"] % 3 == 0 else None
    if worker:
        worker.start()
        worker.join()

    def body():
        for piece in range(2):
            functions[name + '_body'](piece)
            yield b""

    return body()


traced = playtrace_agent.wsgi.TraceMiddleware(app)


def client(seed):
    choose = random.Random(seed)
    for n in range(REQUESTS):
        name = choose.choice(names)
        environ = {"PATH_INFO": name, "REQUEST_METHOD": "GET", "N": n}
        if n % 4:
            environ["HTTP_X_PROFILE_TRACE"] = name
            environ["HTTP_X_PROFILE_TRACE_RUN"] = f"run{n // 50}"
        else:
            name = choose.choice(names)
            environ["PATH_INFO"] = name
        body = traced(environ, lambda status, headers: None)
        for _ in body:
            pass
        body.close()


clients = [threading.Thread(target=client, args=(seed,)) for seed in range(THREADS)]
for thread in clients:
    thread.start()
for thread in clients:
    thread.join()
"""

STRESS_PART = """
def p{n}(k):
    total = 0
    for i in range(k):
        total += p{n}_inner(i)
    f = lambda x: x + {n}
    return f(total)


def p{n}_inner(i): return shared(i)


def p{n}_thread(k):
    return p{n}(k)


def p{n}_body(k):
    return p{n}(k)
"""


def _stress(workspace: Workspace, mutation: str) -> tuple[int, int]:
    """Run the stress; answer with how many lines went to the wrong profile, and how many got lost."""
    text = "def shared(i):\n    if i % 2:\n        return 1\n    return 0\n" + "".join(
        STRESS_PART.format(n=n) for n in range(8)
    )
    workspace.write("parts.py", text)
    source = text.splitlines()
    mine = {}
    for n in range(8):
        first = source.index(f"def p{n}(k):") + 1
        mine[n] = {*range(first + 1, first + 6), first + 8, first + 12, first + 16, 2, 3, 4}
    workspace.run(STRESS.replace("MUTATION", mutation), warnings="default")
    wrong = lost = 0
    for n in range(8):
        for run in range(3):
            found = workspace.look().ledger_lines(f"p{n}", f"run{run}")
            lines = set(found.get(f"profile:p{n}", {}).get("parts.py", []))
            wrong += len(lines - mine[n])
            lost += len(mine[n] - lines)
    return wrong, lost


def test_stress_nothing_wrong_and_nothing_lost(workspace: Workspace) -> None:
    assert _stress(workspace, "") == (0, 0)


#: What the agent would be without one of its parts, patched in from Python.
MUTATIONS = {
    "context-of-the-process": """
import playtrace_agent._native as native

real, shared = native.enter, [None]


def enter(token):
    before, shared[0] = shared[0], token
    # Each thread goes on with whatever was set last, by whomever.
    real(shared[0])
    return before


class Answering:
    def __init__(self, body, _sized, _file, tell):
        self.body, self.tell = body, tell

    def answer(self, unit, app, environ, start_response):
        before = enter(unit)
        try:
            body = app(environ, start_response)
        finally:
            enter(before)
        return self.body(body, unit, self.tell)


native.enter, native.Answering = enter, Answering
""",
    "threads-not-followed": """
playtrace_agent.wsgi.runtime.start("web")
threading.Thread.start = threading.Thread.start.__wrapped__
""",
    "body-not-traced": """
import playtrace_agent.body


class Untraced:
    def __init__(self, body, unit, tell):
        self.body = body
        self.close = lambda: (body.close(), playtrace_agent.runtime.native.end_unit(unit, tell))

    def __iter__(self):
        return iter(self.body)


playtrace_agent.body.TracedBody = Untraced
""",
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_stress_can_fail(workspace: Workspace, name: str) -> None:
    wrong, lost = _stress(workspace, MUTATIONS[name])
    assert wrong + lost > 0
