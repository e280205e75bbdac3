"""What the load of `asgi_load` has an app do in greenlets: each kind calls its request's function at another place."""

from __future__ import annotations

#: The app, for gevent, with and without its patches of the standard library.
APP = """
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import gevent
import gevent.lock
import gevent.pool
import gevent.queue
import gevent.threadpool
import greenlet
import leaves
import playtrace_agent.wsgi

NOW = MOST = 0
GREENLETS = gevent.pool.Pool(4)
LOCK = gevent.lock.BoundedSemaphore(2)
EXECUTOR = ThreadPoolExecutor(3)
# As long as the process lives: greenlets that are over must not keep requests open.
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
        gevent.sleep(0.002)


def slowly(leaf):
    pause()
    leaf()
    gevent.sleep(0)


def plain(leaf):
    slowly(leaf)


def spawned(leaf):
    KEPT.append(gevent.spawn(slowly, leaf))
    KEPT[-1].get()


def pooled(leaf):
    for _ in GREENLETS.imap_unordered(slowly, [leaf]):
        pass


def threads(leaf):
    pause()
    gevent.get_hub().threadpool.apply(leaf)


def later(leaf):
    gevent.spawn_later(0.003, slowly, leaf).join()


def raw(leaf):
    def run():
        here.parent.switch()
        leaf()
        here.parent.switch()

    here = greenlet.greenlet(run)
    for _ in range(3):
        here.switch()
        pause()


def unstructured(leaf):
    gevent.spawn_raw(slowly, leaf)
    pause()


def after(leaf):
    gevent.spawn(slowly, leaf)


def killed(leaf):
    def run():
        try:
            gevent.sleep(60)
        finally:
            slowly(leaf)

    one = gevent.spawn(run)
    pause()
    one.kill()


def timeout(leaf):
    try:
        with gevent.Timeout(0.004):
            gevent.sleep(60)
    except gevent.Timeout:
        slowly(leaf)


def linked(leaf):
    done = gevent.event.Event()
    one = gevent.spawn(pause)
    one.link(lambda _: (slowly(leaf), done.set()))
    done.wait()


def called_back(leaf):
    done = gevent.event.AsyncResult()
    done.rawlink(lambda _: leaf())
    GREENLETS.apply_async(pause, callback=done.set)
    done.get()
    gevent.sleep(0)


def in_loop(leaf):
    done = gevent.event.Event()
    gevent.get_hub().loop.run_callback(lambda: (leaf(), done.set()))
    done.wait()


def timed(leaf):
    done = gevent.event.Event()
    with gevent.get_hub().loop.timer(0.002) as timer:
        timer.start(lambda: (leaf(), done.set()))
        done.wait()


def watched(leaf):
    done = gevent.event.Event()
    with gevent.get_hub().loop.async_() as watcher:
        watcher.start(lambda: (leaf(), done.set()))
        pause()
        watcher.send()
        done.wait()


def queued(leaf):
    queue = gevent.queue.Queue()

    def run():
        queue.get()
        with LOCK:
            slowly(leaf)

    one = gevent.spawn(run)
    pause()
    with LOCK:
        pause()
        queue.put(1)
    one.join()


def thread(leaf):
    one = threading.Thread(target=slowly, args=(leaf,))
    one.start()
    one.join()


def executor(leaf):
    EXECUTOR.submit(slowly, leaf).result()


def stream(leaf):
    pause()
    yield b"do"
    pause()
    yield b" "
    slowly(leaf)
    yield b"ne"


traced = playtrace_agent.wsgi.TraceMiddleware(app)
"""

KINDS = (
    *("plain", "spawned", "pooled", "threads", "later", "raw", "unstructured", "after", "killed", "timeout"),
    *("linked", "called_back", "in_loop", "timed", "watched", "queued", "thread", "executor", "stream"),
)

#: gevent's own server, until it is told to end.
PYWSGI = """
import sys

import gevent
import gevent.monkey

if sys.argv[2:] == ["patched"]:
    gevent.monkey.patch_all()

import signal

import gevent.pywsgi
import greenlet_app

server = gevent.pywsgi.WSGIServer(("127.0.0.1", int(sys.argv[1])), greenlet_app.traced, log=None)
gevent.signal_handler(signal.SIGTERM, server.stop)
server.serve_forever()
"""
