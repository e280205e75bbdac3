"""Generators and coroutines that one profile's work began and another's goes on with, where places are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

UNDER = """
    import atexit
    import contextvars
    import playtrace_agent
    from playtrace_agent import _native, runtime, units

    runtime.start("other")


    class Profile:
        def __init__(self, slug):
            self.unit = units.begin("block", slug, "r", what="test")
            self.context = contextvars.copy_context()
            self.context.run(_native.enter, self.unit)

        def do(self, work, *args):
            return self.context.run(work, *args)

        def end(self):
            self.context.run(_native.enter, None)
            units.end(self.unit)


    a, b = Profile("a"), Profile("b")
    atexit.register(b.end)
    atexit.register(a.end)


    def drive(coroutine):
        try:
            while True:
                coroutine.send(None)
        except StopIteration:
            pass
"""


@pytest.fixture
def profiles(workspace: Workspace) -> Workspace:
    """Return a workspace whose drivers have the work of two profiles under way, `a` and `b`."""
    workspace.write("under.py", UNDER)
    return workspace


def test_who_only_resumed_a_function_gets_its_line_when_calling_it(profiles: Workspace) -> None:
    profiles.write("work.py", "def one(x): y = yield x; yield y\n")
    profiles.run(
        """
        import work
        from under import a, b

        handed = a.do(work.one, 5)
        a.do(next, handed)
        b.do(next, handed)
        for _ in range(200):
            a.do(list, a.do(work.one, 3))
        b.do(list, b.do(work.one, 3))
        """
    )
    for slug in "ab":
        assert profiles.look().ledger_lines(slug, "r")[f"profile:{slug}"]["work.py"] == [1]


def test_a_place_is_silent_only_when_everybody_was_resumed_there(profiles: Workspace) -> None:
    """CPython 3.13 reports the line on which a coroutine slept only together with its resumption."""
    profiles.write(
        "work.py",
        """
        class A:
            def __await__(self): yield


        async def h(x):
            for i in range(x):
                await A()
            first = (await A(),
                     1)
            return 2
        """,
    )
    profiles.run(
        """
        import work
        from under import a, b, drive

        def until_last(coroutine, steps):
            for _ in range(steps):
                coroutine.send(None)

        handed = a.do(work.h, 2)
        a.do(until_last, handed, 1)
        b.do(handed.send, None)
        a.do(drive, handed)
        for _ in range(200):
            a.do(drive, a.do(work.h, 2))
        waits = a.do(work.h, 0)
        a.do(until_last, waits, 1)
        b.do(drive, waits)
        """
    )
    found = profiles.look()
    for slug in "ab":
        assert {8, 10} <= set(found.ledger_lines(slug, "r")[f"profile:{slug}"]["work.py"])


def test_an_exception_thrown_in_at_a_silent_place(profiles: Workspace) -> None:
    profiles.write(
        "work.py",
        """
        class A:
            def __await__(self): yield


        async def h(x):
            for i in range(x):
                await A()
            try:
                await A()
            except ValueError:
                return 1
            return 2
        """,
    )
    profiles.run(
        """
        import work
        from under import a, b, drive

        def throw(coroutine):
            try:
                coroutine.throw(ValueError())
            except StopIteration:
                pass

        handed = a.do(work.h, 2)
        a.do(handed.send, None)
        b.do(handed.send, None)
        a.do(drive, handed)
        for _ in range(200):
            a.do(drive, a.do(work.h, 2))
        waits = a.do(work.h, 0)
        a.do(waits.send, None)
        b.do(throw, waits)
        """
    )
    assert {10, 11} <= set(profiles.look().ledger_lines("b", "r")["profile:b"]["work.py"])
