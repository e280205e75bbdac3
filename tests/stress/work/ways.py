"""Work that leaves the thread, or the moment, of its request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator

from tests.stress import support

from . import leaves, plain, stale


def thread(profile: int, key: int) -> int:
    """A thread that starts a thread."""
    found: list[int] = []

    def outer() -> None:
        inner = threading.Thread(target=lambda: found.append(leaves.in_inner_thread(key)))
        inner.start()
        found.append(leaves.in_thread(key) + plain.branch(profile, key))
        inner.join()

    started = threading.Thread(target=outer)
    started.start()
    started.join()
    return sum(found)


def timer(profile: int, key: int) -> int:
    """A timer."""
    found: list[int] = []
    waiting = threading.Timer(0.0, lambda: found.append(leaves.in_timer(key) + profile))
    waiting.start()
    waiting.join()
    return found[0]


def pool(profile: int, key: int) -> int:
    """A pool that all requests share; the last call is not waited for."""
    executor = support.pool()
    future = executor.submit(in_pool, profile, key)
    total = sum(executor.map(leaves.in_map, [key, key]))
    support.leave_behind(after, profile, key)
    return total + future.result()


def in_pool(profile: int, key: int) -> int:
    """What the pool does."""
    return leaves.in_pool(key) + plain.branch(profile, key) + plain.loop(profile)


def after(profile: int, key: int) -> int:
    """What goes on after the response."""
    return leaves.after(key) + plain.branch(profile, key)


def tasks(profile: int, key: int) -> int:
    """An event loop of its own, in the request's thread."""
    return asyncio.run(gathered(profile, key))


async def gathered(profile: int, key: int) -> int:
    """Child tasks, executors and an asynchronous generator, interleaved."""
    running = asyncio.get_running_loop()
    children = [asyncio.create_task(child(profile, key, rounds)) for rounds in (1, 3)]
    elsewhere = running.run_in_executor(support.pool(), leaves.in_executor, key)
    total = await asyncio.to_thread(leaves.in_to_thread, key)
    async for number in numbers(key):
        total += number
    return total + sum(await asyncio.gather(*children)) + await elsewhere


async def child(profile: int, key: int, rounds: int) -> int:
    """Give way, go on."""
    for _ in range(rounds):
        await asyncio.sleep(0)
    return leaves.in_task(key) + plain.branch(profile, key)


async def numbers(key: int) -> AsyncIterator[int]:
    """Yield, with a pause."""
    yield 1
    await asyncio.sleep(0)
    yield leaves.in_generator(key)


def loop(profile: int, key: int) -> int:
    """An event loop in a thread of its own that the tasks of all requests share."""
    return support.on_shared_loop(on_loop(profile, key))


async def on_loop(profile: int, key: int) -> int:
    """Interleave with the tasks of others."""
    called = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: called.set_result(leaves.called_back(key)))
    children = [asyncio.create_task(on_loop_child(profile, key)) for _ in range(2)]
    total = 0
    for _ in range(3):
        await asyncio.sleep(0)
        total += plain.branch(profile, key)
    return total + leaves.in_loop(key) + sum(await asyncio.gather(*children)) + int(await called)


async def on_loop_child(profile: int, key: int) -> int:
    """A task within the shared loop."""
    await asyncio.sleep(0)
    return leaves.in_loop_task(key) + plain.loop(profile)


def across(profile: int, key: int, ticket: support.Ticket) -> int:
    """Another context that a task on the shared loop enters and leaves, while others have their turns in between."""
    return support.on_shared_loop(on_loop_across(profile, key, ticket))


async def on_loop_across(profile: int, key: int, ticket: support.Ticket) -> int:
    """The task."""
    total = 0
    with support.hooks.block(ticket):
        for _ in range(3):
            await asyncio.sleep(0)
            total += plain.branch(profile, key)
        total += leaves.across(key)
    await asyncio.sleep(0)
    return total + profile


def handed(profile: int, key: int) -> int:
    """Begin a generator for somebody else, and end one that somebody else began."""
    support.hand_over(begun())
    one = support.take_over(begun)
    total = one.send((profile, key)) + one.throw(ValueError(key))
    one.close()
    return total


def begun() -> Generator[int, tuple[int, int], None]:
    """A generator that has begun to run."""
    generator = between()
    next(generator)
    return generator


def between() -> Generator[int, tuple[int, int], None]:
    """Each piece is the work of whoever resumes it there."""
    profile, key = yield 0
    total = leaves.handed(key)
    try:
        yield total + plain.branch(profile, key)
    except ValueError:
        total += leaves.thrown(key)
    try:
        yield total
    finally:
        leaves.closed(key)


def late(profile: int, key: int) -> int:
    """Code that is compiled at run time, now and then anew."""
    names: dict[str, object] = {}
    exec(support.late_code(fresh=key % 32 == 0), names)
    result = names["result"]
    return int(result(key)) + profile  # type: ignore[operator]


def switched(profile: int, key: int, ticket: support.Ticket) -> int:
    """Enter another context in the middle of a loop whose lines are silenced by then, and leave it."""
    total = 0
    block = support.hooks.block(ticket)
    for number in range(100):
        if number == 60:
            block.__enter__()
        total += number
        total += profile
    total += leaves.switched(key)
    block.__exit__(None, None, None)
    for number in range(3):
        total += number
    return total + leaves.returned(key)


def forgotten(profile: int, key: int, ticket: support.Ticket) -> int:
    """Leave something to a thread that does it long after this run has been given up."""
    support.hooks.forget(ticket, stale.stale, key)
    return plain.branch(profile, key)


def forked(profile: int, key: int, ticket: support.Ticket) -> int:
    """The same, left to a forked child: there, none of the parent's contexts but this one is any more."""
    support.hooks.forget(ticket, stale.stale, key)
    support.hooks.fork(ticket)
    return plain.branch(profile, key)


def stream(profile: int, key: int) -> Iterator[str]:
    """A body whose pieces are made while they are sent."""
    yield "0 "
    yield f"{leaves.streamed(key)} "
    for number in range(2):
        yield f"{plain.branch(profile, key) + number} "
