"""The scenarios: which server or queue is started how, and what it is sent. A new one is a few lines here."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import Literal

from tests.stress import plan

# How work is done: by a Flask view, as a job, or as a coroutine of the server's loop (or the worker's).
Way = Literal["view", "job", "coroutine"]
# Distributions that have no wheel. `requirements/` leaves them out: whoever has a C compiler installs them by hand.
BY_HAND = ("uWSGI",)


@dataclass(frozen=True)
class Scenario:
    """What runs, and what is sent to it."""

    name: str
    # The command of a server, or of a queue's worker, after `python -m`; PORT stands for the server's port, NAME for
    # what one of several workers is called.
    command: tuple[str, ...] = ()
    # Whether it begins with a program beside the interpreter instead; PREFIX stands for the environment of both.
    program: bool = False
    way: Way = "view"
    # The module of `queues/` that sends, if it is a queue; and how many workers there are.
    queue: str = ""
    workers: int = 1
    # What it is asked to end by.
    end: signal.Signals = signal.SIGTERM
    # Distributions that it needs besides Flask.
    needs: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    among: tuple[str, ...] = plan.FEATURES
    alone: int = plan.ALONE
    granularity: str = "profile"
    # How many requests make it a stress, and how many a test: each feature comes several times.
    requests: int = 20_000
    short: int = 150
    # Whether requests overlap within a process, too.
    threads: bool = False
    # Whether the verdict of each run must be *complete*.
    judged: bool = True
    # The load of `processes.py`, whose requests do what they do in other processes.
    processes: bool = False


def gunicorn(kind: str, *options: str, app: str = "tests.stress.app:create()") -> tuple[str, ...]:
    """Return its command with that class of workers."""
    always = ("--bind", "127.0.0.1:PORT", "--timeout", "300", "--backlog", "512")
    return ("gunicorn", "--worker-class", kind, *options, *always, app)


_UVICORN = ("uvicorn", "--port", "PORT", "--timeout-keep-alive", "300", "--backlog", "512", "--log-level", "warning")
_ASGI = "tests.stress.asgi_app:create"
_HYPERCORN = ("hypercorn", "--bind", "127.0.0.1:PORT", "--keep-alive", "300", "--backlog", "512")
_CELERY = ("celery", "-A", "tests.stress.queues.celery", "worker", "--loglevel", "WARNING")
_QUIET = ("--without-gossip", "--without-mingle")

SYNC = Scenario("gunicorn-sync", gunicorn("sync", "--workers", "4"))
GTHREAD = Scenario("gunicorn-gthread", gunicorn("gthread", "--workers", "2", "--threads", "5"), threads=True)
UVICORN = Scenario(
    "uvicorn",
    (*_UVICORN, "--workers", "2", "--factory", _ASGI),
    way="coroutine",
    needs=("uvicorn", "anyio"),
    among=plan.ASYNC,
    threads=True,
)
GEVENT = Scenario(
    "gevent",
    gunicorn("gevent", "--workers", "2"),
    needs=("gevent",),
    among=plan.GREEN,
    threads=True,
    short=80,
)
FORKING = Scenario("rq-forking", ("tests.stress.queues.rq", "work"), way="job", queue="rq", workers=4, short=40)
SIMPLE = Scenario("rq-simple", ("tests.stress.queues.rq", "simple"), way="job", queue="rq", workers=3, short=80)
# What `make test` runs in its short form; of the others the agent's own tests are one.
SCENARIOS = (SYNC, GTHREAD, UVICORN, GEVENT, FORKING, SIMPLE)

HYPERCORN = replace(
    UVICORN,
    name="hypercorn",
    command=(*_HYPERCORN, "--workers", "2", f"{_ASGI}()"),
    needs=("hypercorn", "anyio"),
)
ALCHEMY = replace(
    UVICORN,
    name="sqlalchemy",
    command=(*_UVICORN, "--workers", "2", "--factory", f"{_ASGI}_bridged"),
    needs=("uvicorn", "anyio", "sqlalchemy", "aiosqlite"),
    among=plan.BRIDGED,
)
WAITRESS = Scenario(
    "waitress",
    ("waitress", "--listen", "127.0.0.1:PORT", "--threads", "8", "--call", "tests.stress.app:create"),
    end=signal.SIGINT,
    needs=("waitress",),
    threads=True,
)
UWSGI = Scenario(
    "uwsgi",
    (
        *("uwsgi", "--http-socket", "127.0.0.1:PORT", "--home", "PREFIX", "--listen", "512", "--disable-logging"),
        *("--master", "--processes", "2", "--threads", "5", "--module", "tests.stress.app:create()"),
        # The app's threads are the master's, and CPython has to hear that they are not the workers'.
        "--py-call-uwsgi-fork-hooks",
        # It stops its workers by SIGINT, which `asyncio.run` in a request has taken from it.
        *("--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
    ),
    program=True,
    needs=("uWSGI",),
    threads=True,
)
EVENTLET = Scenario(
    "eventlet", ("tests.stress.eventlet_server", "PORT"), needs=("eventlet",), among=plan.GREEN, threads=True
)
SERVERS = (
    # gunicorn 27 has no worker for it any more.
    EVENTLET,
    HYPERCORN,
    replace(
        HYPERCORN,
        name="hypercorn-trio",
        command=(*_HYPERCORN, "--worker-class", "trio", "--workers", "2", f"{_ASGI}()"),
        needs=("hypercorn", "anyio", "trio"),
    ),
    replace(
        UVICORN,
        name="granian",
        command=("granian", "--interface", "asgi", "--port", "PORT", "--workers", "2", "--factory", _ASGI),
        needs=("granian", "anyio"),
    ),
    replace(
        UVICORN,
        name="gunicorn-uvicorn",
        command=gunicorn("uvicorn_worker.UvicornWorker", "--workers", "2", "--keep-alive", "300", app=f"{_ASGI}()"),
        needs=("uvicorn-worker", "anyio"),
    ),
    WAITRESS,
    UWSGI,
    ALCHEMY,
)

CELERY = Scenario(
    "celery",
    (*_CELERY, "--pool", "prefork", "--concurrency", "4", *_QUIET),
    way="job",
    queue="celery",
    needs=("celery",),
    requests=2_000,
    short=80,
)
DRAMATIQ = replace(
    CELERY,
    name="dramatiq",
    command=("dramatiq", "tests.stress.queues.dramatiq", "--processes", "2", "--threads", "4"),
    queue="dramatiq",
    needs=("dramatiq",),
    threads=True,
)
HUEY = replace(
    CELERY,
    name="huey",
    command=("huey.bin.huey_consumer", "tests.stress.queues.huey.huey", "-k", "thread", "-w", "4", "-d", "0.02"),
    queue="huey",
    workers=2,
    end=signal.SIGINT,
    needs=("huey",),
    threads=True,
)
ARQ = replace(
    CELERY,
    name="arq",
    command=("arq", "tests.stress.queues.arq.WorkerSettings"),
    way="coroutine",
    queue="arq",
    workers=2,
    needs=("arq", "anyio"),
    among=plan.ASYNC,
    threads=True,
)
QUEUES = (
    CELERY,
    replace(
        CELERY,
        name="celery-threads",
        command=(*_CELERY, "--pool", "threads", "--concurrency", "8", *_QUIET),
        threads=True,
    ),
    replace(
        CELERY,
        name="celery-gevent",
        # Of one worker's greenlets few overlap: it does most jobs faster than it takes them.
        command=(*_CELERY, "--pool", "gevent", "--concurrency", "8", "--hostname", "NAME@stress", *_QUIET),
        workers=2,
        needs=("celery", "gevent"),
        among=plan.GREEN,
        threads=True,
    ),
    DRAMATIQ,
    HUEY,
    replace(
        HUEY,
        name="huey-processes",
        command=("huey.bin.huey_consumer", "tests.stress.queues.huey.huey", "-k", "process", "-w", "4", "-d", "0.02"),
        threads=False,
    ),
    ARQ,
)

# The same where the functions that each request enters are recorded besides, and where each request has a context of
# its own.
FINER = (
    replace(GTHREAD, name="gunicorn-gthread-steps", granularity="steps"),
    replace(GTHREAD, name="gunicorn-gthread-request", granularity="request"),
)
# Its short form is the agent's `test_process_load.py`; it judges its verdicts itself.
PROCESSES = Scenario("processes", requests=2_000, threads=True, processes=True, judged=False)

ALL = (*SCENARIOS, *SERVERS, *QUEUES, *FINER, PROCESSES)
