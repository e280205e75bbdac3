"""What the agent is proven with: a line for each server, framework, queue and kind of process, and the tests that prove it.

`python -m tests.matrix` runs the tests on each Python and writes `docs/reference/matrix.md`. A new line needs no more
than being here; until its tests were run, the page says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: The Pythons that the page has columns for.
PYTHONS = ("3.12", "3.13")
#: The page's tables, in order.
GROUPS = {
    "server": "Servers",
    "framework": "Frameworks",
    "queue": "Queues and jobs",
    "process": "Processes and pools",
    "thread": "Threads, tasks and loops",
}


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    group: str
    name: str
    #: The distributions whose versions it is about, with spaces between; none for what comes with Python.
    distributions: str
    #: Tests of this directory, as pytest names them, with spaces between; one without `[…]` stands for all of its
    #: parameters, a file for all of its tests. An id with a space in it has a `?` there.
    tests: str
    #: What was compared and found exact.
    exact: str
    #: What is not exact, with what the verdict says about it.
    inexact: str = ""
    #: Another environment than that of all tests, in `.tools/`.
    environment: str = ""

    @property
    def id(self) -> str:
        """Return what the results call it."""
        return f"{self.group}/{self.name}"


def matches(wanted: str, name: str) -> bool:
    """Say whether a test, by the name that pytest has for it in this directory, is one of those that a line names."""
    # pytest's brackets are no pattern's.
    pattern = re.sub(r"[\[\]]", lambda found: f"[{found[0]}]", wanted)
    return fnmatchcase(name, pattern) or name.startswith((f"{wanted}::", f"{wanted}["))


def name_of(nodeid: str) -> str:
    """Return a test's name in this directory."""
    return nodeid.partition("tests/")[2] or nodeid


#: The page says what that is.
_LOAD = "the load"
_ASGI = f"{_LOAD}; child tasks, threads, streams, background tasks, deadlines"
_PLACES = f"{_LOAD}; without the line in the app, too"
_CALLS = "calls of several profiles in turns, arguments, results and errors as they are pickled, initializers"
_CHILD = "its lines from start to end, and that it ended"
_SERVERS, _WSGI, _RQ = "test_asgi_servers.py::test_profiles_at_once", "test_wsgi_frameworks.py::test_with", "test_rq"
_STARTED = "test_asgi_servers.py::test_started_by_us"
_KINDS = "test_process_load.py"
_GREEN = "test_greenlet"
_JOBS = "the load; retries, ends of all kinds, tasks of tasks"

# One line each, so that lines can be added side by side.
# fmt: off
# ruff: noqa: E501
ROWS = (
    Row("server", "gunicorn, sync", "gunicorn", "test_gunicorn.py::test_profiles_at_once[sync]", _LOAD),
    Row("server", "gunicorn, gthread", "gunicorn", "test_gunicorn.py::test_profiles_at_once[gthread] test_gunicorn.py::test_a_killed_worker_leaves_its_shard_and_the_service_goes_on", f"{_LOAD}; a worker that is killed is named"),
    Row("server", "gunicorn, --preload and --max-requests", "gunicorn", "test_gunicorn.py::test_profiles_at_once[preload] test_gunicorn.py::test_profiles_at_once[max-requests]", _LOAD),
    Row("server", "gunicorn, uvicorn's worker", "gunicorn uvicorn-worker uvicorn", f"{_SERVERS}[gunicorn-uvicorn] {_STARTED}[gunicorn-uvicorn-without?the?line]", _ASGI),
    Row("server", "uvicorn, asyncio and h11", "uvicorn h11", f"{_SERVERS}[uvicorn] {_STARTED}[uvicorn-without?the?line] test_asgi_servers.py::test_a_request_that_waits_in_the_pipeline_is_not_work_of_the_one_before", f"{_ASGI}; pipelined requests"),
    Row("server", "uvicorn, uvloop and httptools", "uvicorn uvloop httptools", f"{_SERVERS}[uvicorn-uvloop]", _ASGI),
    Row("server", "uvicorn, two workers; --reload", "uvicorn", f"{_SERVERS}[uvicorn-two-workers] {_SERVERS}[uvicorn-reload]", _ASGI),
    Row("server", "hypercorn, asyncio", "hypercorn", f"{_SERVERS}[hypercorn] {_STARTED}[hypercorn-without?the?line]", _ASGI, "HTTP/2 and WebTransport were not tried"),
    Row("server", "hypercorn, trio", "hypercorn trio", f"{_SERVERS}[hypercorn-trio]", _ASGI, "HTTP/2 and WebTransport were not tried"),
    Row("server", "granian, ASGI", "granian", f"{_SERVERS}[granian] {_SERVERS}[granian-two-workers] {_STARTED}[granian-two-workers-without?the?line]", f"{_ASGI}; one and two workers; without the line in the app, too", "RSGI is not traced; a websocket's client is not told that it is traced"),
    Row("server", "granian, WSGI", "granian", f"{_WSGI}_the_line[bottle-granian] {_WSGI}out_the_line[bottle-granian]", _PLACES),
    Row("server", "daphne", "daphne twisted", f"{_SERVERS}[daphne] {_STARTED}[daphne-without?the?line]", f"{_ASGI}; without the line in the app, too", "HTTP/2 was not tried; a websocket's client is not told that it is traced"),
    Row("server", "waitress", "waitress", f"{_WSGI}_the_line[flask-waitress] {_WSGI}out_the_line[flask-waitress]", _PLACES),
    Row("server", "Werkzeug", "werkzeug", f"{_WSGI}_the_line[mounted-werkzeug] {_WSGI}out_the_line[mounted-werkzeug] {_WSGI}out_the_line[flask-flask-run]", f"{_PLACES}; `flask run`"),
    Row("server", "wsgiref", "", f"{_WSGI}_the_line[bottle-wsgiref] {_WSGI}out_the_line[bottle-wsgiref]", _PLACES),
    Row("server", "Django's runserver", "django", f"{_WSGI}out_the_line[django-runserver] {_WSGI}out_the_line[django-reloading]", "the load without the line in the app; with reloading, too"),
    Row("server", "uWSGI", "uwsgi", "test_wsgi_frameworks.py::test_uwsgi test_wsgi_frameworks.py::test_uwsgi_forks_and_tells_python_of_it", f"{_PLACES}; with threads, the app's own too", "apps that are neither Flask nor Django need the line; an app that starts threads when it is imported needs `--py-call-uwsgi-fork-hooks` or `--lazy-apps`"),
    Row("server", "gunicorn, gevent", "gunicorn gevent greenlet", f"{_GREEN}_servers.py::test_profiles_at_once[gunicorn-two-workers] {_GREEN}_servers.py::test_started_by_us", f"{_LOAD}; greenlets, pools, links, timers, thread pools, callbacks of the loop; without the line in the app, too"),
    Row("server", "gevent.pywsgi", "gevent greenlet", f"{_GREEN}_servers.py::test_profiles_at_once[pywsgi]", f"{_LOAD}; greenlets, pools, links, timers, thread pools, callbacks of the loop"),
    Row("server", "eventlet.wsgi", "eventlet greenlet", f"{_GREEN}_servers.py::test_eventlet", f"{_LOAD}; green threads and pools, `tpool`, calls given to the hub", "gunicorn 27 has no eventlet worker"),
    Row("framework", "Flask", "flask", f"{_WSGI}_the_line[flask-waitress] {_WSGI}_both[flask-gunicorn] {_WSGI}_the_line[surrounded-gunicorn]", _PLACES),
    Row("framework", "Django, WSGI", "django", f"{_WSGI}_the_line[django-gunicorn] {_WSGI}out_the_line[django-gunicorn]", _PLACES),
    Row("framework", "Django, ASGI", "django", "test_asgi_frameworks.py::test_each_profile_has_its_own_lines[django]", _LOAD),
    Row("framework", "Starlette", "starlette", "test_asgi_frameworks.py::test_each_profile_has_its_own_lines[starlette]", f"{_LOAD}; threads, background, streams, websockets, `BaseHTTPMiddleware`, a mounted WSGI app"),
    Row("framework", "FastAPI", "fastapi", "test_asgi_frameworks.py::test_each_profile_has_its_own_lines[fastapi]", f"{_LOAD}; dependencies, background, streams"),
    Row("framework", "Quart", "quart", "test_asgi_frameworks.py::test_each_profile_has_its_own_lines[quart]", _LOAD),
    Row("framework", "Bottle", "bottle", f"{_WSGI}_the_line[bottle-wsgiref] {_WSGI}out_the_line[bottle-preload]", _PLACES),
    Row("framework", "Pyramid", "pyramid", f"{_WSGI}_the_line[pyramid-waitress] {_WSGI}out_the_line[pyramid-waitress]", _PLACES),
    Row("framework", "Falcon", "falcon", f"{_WSGI}_the_line[falcon-gunicorn] {_WSGI}out_the_line[falcon-gunicorn]", _PLACES),
    Row("framework", "SQLAlchemy, asyncio", "sqlalchemy aiosqlite greenlet", "test_sqlalchemy.py", f"{_LOAD}; events, functions and types that the engine calls"),
    Row("queue", "RQ", "rq redis", f"{_RQ}.py {_RQ}_ends.py test_run_rq.py", "tag, arguments, callbacks, dependents, retries, ends; `Worker`, `SimpleWorker`, `SpawnWorker`, `worker-pool`"),
    Row("queue", "RQ 1.16", "rq redis", f"{_RQ}.py {_RQ}_ends.py", "as above, but for what that release does not have", environment="rq-1.16.2"),
    Row("queue", "RQ 3.0", "rq redis", f"{_RQ}.py {_RQ}_ends.py", "as above", environment="rq-3.0.0"),
    Row("queue", "Celery", "celery kombu redis", "test_celery.py test_run_celery.py", f"{_JOBS}; prefork, threads, solo, gevent, eventlet; chains, groups, chords, ETA, `beat`; without the line in the app, too", "other brokers than Redis were not tried"),
    Row("queue", "Dramatiq", "dramatiq redis", "test_dramatiq.py", f"{_JOBS}; pipelines, groups", "other brokers than Redis were not tried"),
    Row("queue", "Huey", "huey redis", "test_huey.py", f"{_JOBS}; threads and processes; pipelines, groups, chords", "a serializer that is not derived from Huey's: failed"),
    Row("queue", "arq", "arq redis", "test_arq.py", f"{_JOBS}; deferred jobs, cron jobs", "what unpickling arguments runs is nobody's"),
    Row("process", "multiprocessing.Process: fork, spawn, forkserver", "", f"test_multiprocessing.py {_KINDS}", f"{_CHILD}; queues; the same lines as coverage.py's", "an app's own class in a manager's process: partial"),
    Row("process", "multiprocessing.Pool: fork, spawn, forkserver", "", f"test_pools.py test_pool_results.py::test_results_of_a_pool test_initializers.py::test_a_pool_replaces_its_workers {_KINDS}", f"{_CALLS}; recycled and killed workers"),
    Row("process", "ProcessPoolExecutor: fork, spawn, forkserver", "", f"test_pools.py test_pool_results.py::test_results_of_an_executor test_initializers.py::test_an_executor_replaces_its_workers {_KINDS}", f"{_CALLS}; killed workers"),
    Row("process", "loky", "loky cloudpickle", f"test_loky.py {_KINDS}", f"{_CALLS}; the reusable executor; killed workers"),
    Row("process", "joblib", "joblib", f"test_loky.py {_KINDS}", "`Parallel` with loky, multiprocessing and threads; reducers of its own"),
    Row("process", "billiard, multiprocess", "billiard multiprocess", "test_foreign_pools.py::test_calls_of_relatives_of_multiprocessing_are_named", "", "calls of their pools are nobody's: partial"),
    Row("process", "subprocess, shells, os.system, os.posix_spawn, os.exec*", "", f"test_processes.py test_shells.py {_KINDS}", f"{_CHILD}, with an empty environment, too", "a shell's command that empties the environment: partial; a script, or another program, that does: a note that it may be so"),
    Row("process", "asyncio.create_subprocess_exec", "", f"test_processes.py::test_children_follow_however_they_are_started {_KINDS}", _CHILD),
    Row("process", "os.fork and daemons", "", f"test_processes.py::test_a_forked_child_reports_its_own_lines_only test_processes.py::test_a_daemon_that_lives_on_keeps_the_run_open {_KINDS}", f"{_CHILD}; the run is open as long as the daemon lives"),
    Row("thread", "threading, ThreadPoolExecutor", "", "test_attribution.py test_raw_threads.py test_initializers.py::test_threads_of_pools", "eight profiles at once in threads, timers and pools, raw threads, initializers"),
    Row("thread", "asyncio", "", "test_asgi_pieces.py test_future_plumbing.py", "each piece of a coroutine, cancelled and forgotten ones", "a task made with an empty context: partial"),
    Row("thread", "greenlets", "greenlet gevent", f"{_GREEN}s.py {_GREEN}_contexts.py test_loops.py", "raw ones, hubs, forks and programs that gevent starts; callbacks, timers and watchers given to gevent's and eventlet's loops", "a timer of an app's own class, given to eventlet's hub: partial"),
    Row("thread", "coverage.py as the source of lines (CPython 3.10, 3.11)", "coverage", "test_coverage_engine.py test_coverage_engine_beside.py test_coverage_engine_reach.py test_asgi_servers.py::test_profiles_at_once_by_the_coverage_engine", "the same lines as coverage.py's; runs at once; ASGI servers (asyncio, trio); event loops, copied contexts, calls that wait in process pools", "greenlets and uvloop are refused; a greenlet that is left behind: partial"),
)
# fmt: on
