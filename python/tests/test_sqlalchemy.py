"""SQLAlchemy's asyncio engine: synchronous code in greenlets that wait for the loop, and a driver with a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_load import compare, judge_all, most, prepare, send_all, serving

if TYPE_CHECKING:
    from conftest import Workspace

APP = """
import asyncio
import contextlib
import os
from contextvars import ContextVar

import leaves
import playtrace_agent.asgi
from sqlalchemy import Integer, TypeDecorator, event, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only, greenlet_spawn

NOW = MOST = 0
# Fewer connections than requests: these wait for one another in greenlets.
ENGINE = create_async_engine("sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=3, max_overflow=0)
LEAF = ContextVar("LEAF")


@event.listens_for(ENGINE.sync_engine, "connect")
def connected(connection, _):
    # Called by the driver's thread, for whoever has the connection.
    connection.create_function("leaf", 1, lambda name: getattr(leaves, name)())


@event.listens_for(ENGINE.sync_engine, "before_cursor_execute")
def before(connection, cursor, statement, parameters, context, executemany):
    context.execution_options.get("leaf", int)()


class Leaf(TypeDecorator):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return LEAF.get()()


async def app(scope, receive, send):
    global NOW, MOST
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await ENGINE.dispose()
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] != "/ready":
        _, kind, name = scope["path"].split("/")
        NOW += 1
        if NOW > MOST:
            MOST = NOW
            with open(f"most-{os.getpid()}", "w") as file:
                file.write(str(MOST))
        try:
            await globals()[kind](getattr(leaves, name))
        finally:
            NOW -= 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def connection(leaf):
    async with ENGINE.connect() as one:
        await asyncio.sleep(0.002)
        await one.execute(text("select 1"))
        await one.run_sync(lambda _: leaf())


async def session(leaf):
    def work(session):
        session.execute(text("select 1"))
        session.execute(text("select 2"))
        leaf()

    async with AsyncSession(ENGINE) as one:
        await one.run_sync(work)


async def spawned(leaf):
    def work():
        await_only(asyncio.sleep(0.002))
        inner()
        await_only(asyncio.sleep(0.002))

    def inner():
        await_only(asyncio.sleep(0.002))
        leaf()

    await greenlet_spawn(work)


async def cancelled(leaf):
    def work():
        try:
            await_only(asyncio.sleep(60))
        finally:
            leaf()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.004):
            await greenlet_spawn(work)


async def listener(leaf):
    async with ENGINE.connect() as one:
        await one.execute(text("select 1"), execution_options={"leaf": leaf})


async def parameter(leaf):
    LEAF.set(leaf)
    async with ENGINE.connect() as one:
        await one.execute(select(literal(1, Leaf)))


async def function(leaf):
    async with ENGINE.connect() as one:
        await one.execute(text(f"select leaf('{leaf.__name__}')"))


traced = playtrace_agent.asgi.wrap(app)
"""
KINDS = ("connection", "session", "spawned", "cancelled", "listener", "parameter", "function")
EACH = 2 * len(KINDS)


def test_profiles_at_once(workspace: Workspace) -> None:
    prepare(workspace, EACH, APP, "alchemy_app.py")
    options = ("--port", "PORT", "--log-level", "warning", "--lifespan", "on")
    with serving(workspace, "uvicorn", *options, "alchemy_app:traced") as port:
        send_all(port, EACH, kinds=KINDS)
    assert most(workspace) >= 3, "they did not overlap"
    found = compare(workspace, EACH)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace, EACH)
