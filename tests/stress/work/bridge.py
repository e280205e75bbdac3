"""Synchronous code in greenlets that wait for the loop (SQLAlchemy's bridge), and what a driver's thread calls."""

from __future__ import annotations

from functools import partial

import anyio
from sqlalchemy import Connection, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only, greenlet_spawn

from tests.stress import alchemy

from . import coroutines, leaves, plain


async def run_sync(profile: int, key: int) -> int:
    """Synchronous code on a connection; there are fewer of these than requests."""

    def inside(connection: Connection) -> int:
        total = 0
        for number in range(3):
            connection.execute(text("select 1"))
            total += number * profile
        return total + leaves.in_run_sync(key)

    async with alchemy.engine().connect() as connection:
        await anyio.sleep(0)
        return await connection.run_sync(inside)


async def session(profile: int, key: int) -> int:
    """Synchronous code on a session."""

    def inside(one: Session) -> int:
        one.execute(text("select 1"))
        return leaves.in_session(key) + plain.branch(profile, key)

    async with AsyncSession(alchemy.engine()) as one:
        return await one.run_sync(inside)


async def spawned(profile: int, key: int) -> int:
    """Functions in the middle of which others have their turns."""

    def outer() -> int:
        total = inner()
        await_only(anyio.sleep(0))
        return total + plain.branch(profile, key)

    def inner() -> int:
        await_only(anyio.sleep(0))
        return leaves.in_greenlet_spawn(key)

    return int(await greenlet_spawn(outer))


async def listener(profile: int, key: int) -> int:
    """What the engine calls before a statement."""
    async with alchemy.engine().connect() as connection:
        called = partial(leaves.in_listener, key)
        await connection.execute(text("select 1"), execution_options={alchemy.CALLED: called})
    return profile


async def parameter(profile: int, key: int) -> int:
    """A type that converts a parameter."""
    async with alchemy.engine().connect() as connection:
        found = await connection.execute(select(literal(key, alchemy.Converted(leaves.in_parameter))))
    return int(found.scalar_one()) + profile


async def function(profile: int, key: int) -> int:
    """A function that SQLite calls in the driver's thread."""
    async with alchemy.engine().connect() as connection:
        found = await connection.execute(text("select called(:key)"), {"key": key})
    return int(found.scalar_one()) + profile


coroutines.FEATURES.update(
    run_sync=run_sync, session=session, spawned=spawned, listener=listener, parameter=parameter, function=function
)
