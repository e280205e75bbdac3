"""Work that is a coroutine of a server's or worker's loop, on asyncio and trio; what is not goes to a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream

from tests.stress import support

from . import kinds, leaves, plain

# `bridge.py` adds its own, where that is imported.
FEATURES: dict[str, Callable[[int, int], Awaitable[int]]] = {}


async def work(profile: int, key: int, features: list[str], ticket: support.Ticket) -> str:
    """Do what a request or job asks for; what comes after an answer is not in it."""
    total = 0
    for name in features:
        if name in FEATURES:
            total += await FEATURES[name](profile, key)
    said = await anyio.to_thread.run_sync(kinds.job, profile, key, features, ticket)
    return f"{total} {said}"


async def afterwards(profile: int, key: int) -> None:
    """What goes on when the answer has been sent."""
    for _ in range(2):
        await anyio.sleep(0)
        plain.branch(profile, key)
    leaves.afterwards(key)


async def awaited(profile: int, key: int) -> int:
    """Pieces of the request's own task, between which others have their turns."""
    total = 0
    for number in range(3):
        await anyio.sleep(0)
        total += plain.branch(profile, key) + number
    return total + leaves.awaited(key)


async def grouped(profile: int, key: int) -> int:
    """Tasks of a group."""
    found: list[int] = []

    async def child(rounds: int) -> None:
        for _ in range(rounds):
            await anyio.sleep(0)
        found.append(leaves.in_group(key) + plain.branch(profile, key))

    async with anyio.create_task_group() as group:
        group.start_soon(child, 1)
        group.start_soon(child, 3)
        await anyio.sleep(0)
    return sum(found)


async def timed_out(profile: int, key: int) -> int:
    """A deadline, and what is tidied up then."""
    found: list[int] = []
    with anyio.move_on_after(0.001):
        try:
            await anyio.sleep(60)
        finally:
            found.append(leaves.timed_out(key))
    return sum(found) + profile


async def channel(profile: int, key: int) -> int:
    """A task that sends to another one."""
    send, receive = anyio.create_memory_object_stream[int](1)
    total = profile
    async with anyio.create_task_group() as group, receive:
        group.start_soon(_send, send, key)
        for _ in range(2):
            total += await receive.receive()
            total += leaves.received(key)
    return total


async def _send(send: MemoryObjectSendStream[int], key: int) -> None:
    async with send:
        for number in range(2):
            await send.send(leaves.sent(key) + number)


async def round_trip(profile: int, key: int) -> int:
    """A thread that serves all, and a coroutine of the loop that the thread waits for."""

    def in_thread() -> int:
        return leaves.in_worker(key) + anyio.from_thread.run(_back_in_loop, profile, key)

    return await anyio.to_thread.run_sync(in_thread)


async def _back_in_loop(profile: int, key: int) -> int:
    await anyio.sleep(0)
    return leaves.back_in_loop(key) + plain.loop(profile)


FEATURES.update(awaited=awaited, grouped=grouped, timed_out=timed_out, channel=channel, round_trip=round_trip)
