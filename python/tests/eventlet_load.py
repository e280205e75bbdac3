"""The app of `greenlet_load` for eventlet."""

from __future__ import annotations

#: The app and its server, until it is told to end.
SERVER = """
import sys
import warnings

# It says of itself that it is deprecated.
warnings.simplefilter("ignore")

import eventlet

eventlet.monkey_patch()

import os
import signal
import threading

import eventlet.hubs
import eventlet.queue
import eventlet.semaphore
import eventlet.tpool
import eventlet.wsgi
import greenlet
import leaves
import playtrace_agent.wsgi

NOW = MOST = 0
GREENLETS = eventlet.GreenPool(4)
LOCK = eventlet.semaphore.Semaphore(2)
KEPT = []


def app(environ, start_response):
    global NOW, MOST
    path = environ["PATH_INFO"]
    if path == "/ready":
        return answer(start_response, [b"done"])
    _, kind, name = path.split("/")
    NOW += 1
    if NOW > MOST:
        MOST = NOW
        with open(f"most-{os.getpid()}", "w") as file:
            file.write(str(MOST))
    try:
        return answer(start_response, globals()[kind](getattr(leaves, name)) or [b"done"])
    finally:
        NOW -= 1


def answer(start_response, pieces):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces


def pause():
    for _ in range(3):
        eventlet.sleep(0.002)


def slowly(leaf):
    pause()
    leaf()
    eventlet.sleep(0)


def plain(leaf):
    slowly(leaf)


def spawned(leaf):
    KEPT.append(eventlet.spawn(slowly, leaf))
    KEPT[-1].wait()


def unstructured(leaf):
    eventlet.spawn_n(slowly, leaf)


def pooled(leaf):
    for _ in GREENLETS.imap(slowly, [leaf]):
        pass


def pooled_unstructured(leaf):
    GREENLETS.spawn_n(slowly, leaf)
    pause()


def threads(leaf):
    pause()
    eventlet.tpool.execute(leaf)


def later(leaf):
    eventlet.spawn_after(0.003, slowly, leaf).wait()


def raw(leaf):
    def run():
        here.parent.switch()
        leaf()
        here.parent.switch()

    here = greenlet.greenlet(run)
    for _ in range(3):
        here.switch()
        pause()


def killed(leaf):
    def run():
        try:
            eventlet.sleep(60)
        finally:
            slowly(leaf)

    one = eventlet.spawn(run)
    pause()
    one.kill()


def timeout(leaf):
    try:
        with eventlet.Timeout(0.004):
            eventlet.sleep(60)
    except eventlet.Timeout:
        slowly(leaf)


def linked(leaf):
    done = eventlet.Event()
    one = eventlet.spawn(pause)
    one.link(lambda _: (leaf(), done.send()))
    done.wait()


def in_hub(leaf):
    done = eventlet.Event()
    eventlet.hubs.get_hub().schedule_call_global(0.002, lambda: (leaf(), done.send()))
    done.wait()


def in_hub_local(leaf):
    done = eventlet.Event()
    eventlet.hubs.get_hub().schedule_call_local(0, lambda: (leaf(), done.send()))
    done.wait()


def queued(leaf):
    queue = eventlet.queue.Queue()

    def run():
        queue.get()
        with LOCK:
            slowly(leaf)

    one = eventlet.spawn(run)
    with LOCK:
        pause()
        queue.put(1)
    one.wait()


def thread(leaf):
    one = threading.Thread(target=slowly, args=(leaf,))
    one.start()
    one.join()


def stream(leaf):
    pause()
    yield b"do"
    slowly(leaf)
    yield b"ne"


def stop(*_):
    raise SystemExit


signal.signal(signal.SIGTERM, stop)
listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])))
eventlet.wsgi.server(listener, playtrace_agent.wsgi.TraceMiddleware(app), log_output=False)
"""

KINDS = (
    *("plain", "spawned", "unstructured", "pooled", "pooled_unstructured", "threads", "later", "raw", "killed"),
    *("timeout", "linked", "in_hub", "in_hub_local", "queued", "thread", "stream"),
)
