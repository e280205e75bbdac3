"""Agents with one thing wrong in their Python files, each of which the scenario of a server or queue must see."""

from __future__ import annotations

from dataclasses import replace

from tests.stress.catalog import (
    ALCHEMY,
    ARQ,
    DRAMATIQ,
    EVENTLET,
    HUEY,
    HYPERCORN,
    QUEUES,
    SERVERS,
    WAITRESS,
    Scenario,
    gunicorn,
)
from tests.stress.mutations import Edit, Mutation

_AGENT = "python/playtrace_agent/"
_BY_NAME = {scenario.name: scenario for scenario in (*SERVERS, *QUEUES)}

# A text of the verdict's where a job came without what it owes.
_WITHOUT = "came to its worker without profile_trace_slug"

_EMPTY_TASKS = """\
def _begin_empty() -> None:
    import asyncio, contextvars

    create = asyncio.BaseEventLoop.create_task
    asyncio.BaseEventLoop.create_task = lambda self, coro, **more: create(
        self, coro, **{**more, "context": contextvars.Context()}
    )


_begin_empty()


def wrap(app: App) -> App:
"""


def _under(scenario: Scenario, requests: int, *only: str) -> Scenario:
    return replace(scenario, name=f"{scenario.name}-few", only=only, requests=requests)


_GREENLETS = (Edit(f"{_AGENT}greenlets.py", "if not _native.follow_greenlets(module.greenlet):", "if False:"),)

FAULTS = (
    # Where the loop is asyncio's own: uvloop's tasks can't be changed.
    Mutation(
        "tasks-begin-empty",
        (Edit(f"{_AGENT}asgi.py", "def wrap(app: App) -> App:\n", _EMPTY_TASKS),),
        replace(
            _under(_BY_NAME["gunicorn-uvicorn"], 300, "grouped", "channel"),
            command=gunicorn(
                *("uvicorn_worker.UvicornH11Worker", "--workers", "2", "--keep-alive", "300"),
                app="tests.stress.asgi_app:create()",
            ),
        ),
    ),
    # As a variable would be that is set where the app is called, and set back before it is awaited.
    Mutation(
        "nobody-s-after-the-first-step",
        (
            Edit(
                f"{_AGENT}steps.py",
                "self.step = functools.partial(runtime.native.call_within, unit)",
                "steps = iter([functools.partial(runtime.native.call_within, unit)] * 2); "
                "self.step = lambda work, *args: next(steps, lambda work, *args: work(*args))(work, *args)",
            ),
        ),
        _under(_BY_NAME["granian"], 300),
    ),
    # The threads of anyio's pool are kept for the requests that happened to start them.
    Mutation(
        "threads-kept-for-the-first-request",
        (Edit(f"{_AGENT}serving.py", "    _serving[id(target)] = target, initializer\n", "    return\n"),),
        _under(HYPERCORN, 300),
        says="within traced work: whose it is can't be told",
    ),
    # A thread of the server's goes on in the context of the request that it has answered.
    Mutation(
        "a-thread-stays-in-the-request",
        (
            Edit(
                f"{_AGENT}wsgi.py",
                "return self._answer(unit, self.app, environ, start_response)",
                "runtime.native.enter(unit); return self._answer(unit, self.app, environ, start_response)",
            ),
        ),
        _under(WAITRESS, 300),
    ),
    Mutation("greenlets-begin-empty", _GREENLETS, _under(EVENTLET, 300, "greenlet", "turns")),
    Mutation(
        "greenlets-begin-empty-in-a-worker", _GREENLETS, _under(_BY_NAME["celery-gevent"], 200, "greenlet", "turns")
    ),
    # What a connection's thread calls is work of whoever opened the connection.
    Mutation(
        "a-driver-s-thread-is-not-followed",
        (Edit(f"{_AGENT}databases.py", "    changed.SimpleQueue = _Calls\n", ""),),
        _under(ALCHEMY, 300, "function"),
    ),
    Mutation(
        "celery-without-slug",
        (Edit(f"{_AGENT}celery_publish.py", "    headers.update(jobs.tag(headers, run))\n", ""),),
        _under(_BY_NAME["celery-threads"], 200),
        says=_WITHOUT,
    ),
    Mutation(
        "dramatiq-without-slug",
        (Edit(f"{_AGENT}dramatiq.py", "    message.options.update(jobs.tag(message.options, run))\n", ""),),
        _under(DRAMATIQ, 200),
        says=_WITHOUT,
    ),
    Mutation(
        "huey-without-slug",
        (Edit(f"{_AGENT}huey.py", 'return pickled + text + b"%0*d" % (_DIGITS, len(text)) + _END', "return pickled"),),
        _under(HUEY, 200),
        says=_WITHOUT,
    ),
    Mutation(
        "arq-without-slug",
        (Edit(f"{_AGENT}arq.py", "write(jobs.tag(data, run))", "write(data)"),),
        _under(ARQ, 200),
        says=_WITHOUT,
    ),
    # A worker's thread goes on in the context of the job that it has done.
    Mutation(
        "a-thread-stays-in-the-job",
        (
            Edit(
                f"{_AGENT}jobs.py",
                "        return _native.call_within(unit, work)\n",
                "        _native.enter(unit)\n        return work()\n",
            ),
        ),
        _under(DRAMATIQ, 200),
    ),
    # The task of a job is made while it is nobody's yet.
    Mutation(
        "a-job-s-task-is-nobody-s",
        (Edit(f"{_AGENT}arq.py", "            runtime.native.enter(taken.unit)\n", "            pass\n"),),
        _under(ARQ, 200),
    ),
)
