"""The app of the load for ASGI servers: what a request is answered by is at a place that its kind says."""

from __future__ import annotations

#: The app, for asyncio and trio.
APP = """
import os

import anyio
import anyio.to_thread
import leaves
import playtrace_agent.asgi

NOW = MOST = 0


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] == "/ready":
        return await answer(send, [b"done"])
    _, kind, name = scope["path"].split("/")
    enter(1)
    try:
        await globals()[kind](getattr(leaves, name), receive, send)
    finally:
        enter(-1)


def enter(more):
    global NOW, MOST
    NOW += more
    if NOW > MOST:
        MOST = NOW
        with open(f"most-{os.getpid()}", "w") as file:
            file.write(str(MOST))


async def answer(send, pieces=()):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def pause():
    for _ in range(3):
        await anyio.sleep(0.002)


async def plain(leaf, receive, send):
    await pause()
    leaf()
    await answer(send, [b"done"])


async def child(leaf, receive, send):
    async def run():
        await pause()
        leaf()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await pause()
    await answer(send, [b"done"])


async def thread(leaf, receive, send):
    await pause()
    await anyio.to_thread.run_sync(leaf)
    await answer(send, [b"done"])


async def stream(leaf, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"do" + b" " * 100_000, "more_body": True})
    await pause()
    leaf()
    await send({"type": "http.response.body", "body": b"ne"})


async def body(leaf, receive, send):
    length = 0
    while True:
        message = await receive()
        length += len(message["body"])
        await anyio.sleep(0)
        if not message["more_body"]:
            break
    leaf()
    await answer(send, [b"done" if length == 300_000 else b"%d" % length])


async def background(leaf, receive, send):
    await answer(send, [b"done"])
    await pause()
    leaf()


async def deadline(leaf, receive, send):
    with anyio.move_on_after(0.005):
        try:
            await anyio.sleep(60)
        finally:
            leaf()
    with anyio.fail_after(600):
        await pause()
    await answer(send, [b"done"])


async def failing(leaf, receive, send):
    await answer(send, [b"done"])
    try:
        await pause()
        raise KeyError("expected")
    except KeyError:
        leaf()


traced = playtrace_agent.asgi.wrap(app)
"""
