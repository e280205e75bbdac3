"""Functions whose line events are easily got wrong. What matters is only that they run; `test_odd` runs them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import types
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any

# How a thing is laid out over lines is what it is here for.
# fmt: off


def one_line(x: int) -> int: return x + 1


def comprehensions(n: int) -> tuple[list[int], dict[int, int], set[int], int]:
    squares = [
        i * i
        for i in range(n)
        if i % 2
    ]
    table = {
        i: one_line(i)
        for i in squares
    }
    nested = {j for i in range(n) for j in (i, -i)}
    lazy = (
        value
        for value in table.values()
        if value
    )
    return squares, table, nested, sum(lazy)


def failing_comprehension() -> int:
    try:
        return sum([1 // i for i in (1, 0)])
    except ZeroDivisionError:
        return -1


def backward_jumps(n: int) -> int:
    total = 0
    while True:
        total += 1
        if total < n: continue
        break
    for i in range(n): total += i
    for i in range(n):
        if i % 2:
            continue
        elif i > 5:
            break
    else:
        total = -total
    return total


def finally_paths(kind: str) -> str:
    steps = ""
    for _ in range(2):
        try:
            if kind == "return":
                return "r"
            if kind == "break":
                break
            if kind == "raise":
                raise ValueError(
                    kind
                )
        except ValueError as error:
            steps += str(error)
        else:
            steps += "e"
        finally:
            steps += "f"
    return steps


@contextlib.contextmanager
def managed(swallow: bool) -> Iterator[int]:
    try:
        yield 1
    except KeyError:
        if not swallow:
            raise


def with_exits(fail: bool) -> int:
    with managed(True) as a, \
            managed(False) as b:
        if fail:
            with managed(True):
                raise KeyError
        return (
            a
            + b
        )
    return 0


def matched(value: object) -> str:
    match value:
        case int() | float() if value == 1:
            return "one"
        case [first, *rest]:
            return f"{first}{rest}"
        case {"key": found, **others}:
            return f"{found}{others}"
        case str(): return "text"
        case _:
            pass
    return "nothing"


def calls_over_lines(f: Callable[..., object]) -> object:
    return f(
        one_line(
            1
        ),
        [
            one_line(2),
        ],
        key={
            "a": one_line(3),
        },
    )


def decorated(n: int) -> int:
    @functools.lru_cache(
        maxsize=None,
    )
    @functools.wraps(
        one_line
    )
    def inner(k: int) -> int:
        return k if k < 2 else inner(k - 1) + inner(k - 2)

    class Local:
        attribute = n

        @property
        def value(self) -> int:
            return self.attribute

    return inner(n) + Local().value


def echo(n: int) -> Generator[int, int | None, str]:
    for i in range(n):
        try:
            got = yield i
            if got:
                yield got
        except KeyError:
            yield -1
        finally:
            one_line(i)
    return "end"


def delegating(n: int) -> Generator[int, int | None, None]:
    result = yield from echo(n)
    yield len(result)


async def ticks(n: int) -> AsyncIterator[int]:
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        one_line(n)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[int]:
    yield 1


async def awaiting(n: int) -> list[int]:
    async def cancelled() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            one_line(n)
            raise

    task = asyncio.create_task(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    async with opened() as a:
        async for i in ticks(n):
            a += i
    return [i async for i in ticks(n) if i] + [a]


def deep(n: int) -> int:
    if n == 0:
        return 0
    return deep(n - 1) + 1


def too_deep() -> str:
    def down() -> None:
        down()

    try:
        down()
    except RecursionError:
        return "too deep"
    return "?"


def grouped() -> int:
    try:
        raise ExceptionGroup("two", [ValueError(1), KeyError(2)])
    except* ValueError:
        one_line(1)
    except* KeyError:
        one_line(2)
    return 2


def executed(source: str, file: str) -> Any:
    space: dict[str, Any] = {}
    exec(compile(source, file, "exec"), space)
    return space["f"](2)


def bare_generator() -> Iterator[int]:
    return (
        x
        for x in range(3)
    )


def without_globals() -> list[int]:
    """The generator's code in a function whose globals hold nothing, `__import__` included."""
    code = next(c for c in bare_generator.__code__.co_consts if isinstance(c, types.CodeType))
    return list(types.FunctionType(code, {})(iter((1, 2))))


def first_run_elsewhere() -> int:
    """Runs first while the program's own `__import__` is in force."""
    return one_line(
        5
    )


class Callbacks:
    """Called when a future is done, by whichever thread does it."""

    def __init__(self) -> None:
        self.called: list[object] = []

    def done(self, future: Future[Any]) -> None:
        self.called.append(
            future.result()
        )


class Ends:
    """Runs code where nobody calls it."""

    ended: list[str]

    def __init__(self, ended: list[str]) -> None:
        self.ended = ended

    def __del__(self) -> None:
        self.ended.append("del")

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        return name

    def __lt__(self, other: object) -> bool:
        return id(self) < id(other)
