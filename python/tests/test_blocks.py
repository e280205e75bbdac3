"""Blocks that are traced by hand, with `trace()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.mark.parametrize("enabled", ["1", "0"])
def test_a_decorated_coroutine_function_is_traced_and_stays_one(workspace: Workspace, enabled: str) -> None:
    workspace.write(
        "work.py",
        """
        import asyncio, playtrace_agent


        @playtrace_agent.trace("p", "r")
        async def waits(x):
            await asyncio.sleep(0)
            return x


        @playtrace_agent.trace("q", "r")
        def calls(x):
            return x
        """,
    )
    outcome = workspace.run(
        """
        import asyncio, inspect, work

        assert inspect.iscoroutinefunction(work.waits) and not inspect.iscoroutinefunction(work.calls)


        async def several():
            print(await asyncio.gather(work.waits(1), work.waits(x=2)), work.calls(3))


        asyncio.run(several())
        """,
        env={"ENABLE_PROFILE_COVERAGE": enabled},
    )
    assert outcome.out == "[1, 2] 3\n"
    if enabled == "1":
        assert outcome.wrote.lines("p", "work.py") == [6, 7]
        assert outcome.wrote.lines("q", "work.py") == [12]
        assert outcome.wrote.unclosed("p") == outcome.wrote.unclosed("q") == []


@pytest.mark.parametrize("enabled", ["1", "0"])
def test_a_decorated_generator_is_traced_and_who_asks_it_is_not(workspace: Workspace, enabled: str) -> None:
    workspace.write(
        "work.py",
        """
        import playtrace_agent


        @playtrace_agent.trace("p", "r")
        def pieces():
            try:
                got = yield 1
                try:
                    yield got
                except KeyError as error:
                    yield repr(error)
                yield 4
            finally:
                print("over")


        def asks():
            made = pieces()
            print(next(made), made.send(2), made.throw(KeyError(3)))
            made.close()
            print(list(pieces()))


        try:
            @playtrace_agent.trace("p", "r")
            async def never():
                yield
        except TypeError as error:
            print(error)
        """,
    )
    outcome = workspace.run(
        """
        import inspect, work

        assert inspect.isgeneratorfunction(work.pieces)
        work.asks()
        """,
        env={"ENABLE_PROFILE_COVERAGE": enabled},
    )
    refused = "@trace() can't trace never(), an async generator function: trace who iterates over it"
    assert outcome.out.splitlines() == [refused, "1 2 KeyError(3)", "over", "over", "[1, None, 4]"]
    if enabled == "1":
        assert outcome.wrote.lines("p", "work.py") == [*range(6, 13), 14]
        assert outcome.wrote.unclosed("p") == []
