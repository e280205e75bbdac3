"""WSGI frameworks on real servers, with the line in the app and without it: wrong 0, lost 0."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import RUN, WORK, App, check, replay, serving

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet
    from conftest import Workspace

FLASK = App(
    """
    from flask import Flask
    import work

    application = app = Flask(__name__)


    @app.get("/work/<slug>")
    def view(slug):
        return work.do(slug)
    """,
    ("return work.do(slug)",),
    wrap="import playtrace_agent.flask\nplaytrace_agent.flask.init_app(application)\n",
)
DJANGO = App(
    """
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path
    import work

    if not settings.configured:
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="app", WSGI_APPLICATION="app.application")


    def view(request, slug):
        return HttpResponse(work.do(slug))


    urlpatterns = [path("work/<slug>", view)]
    application = get_wsgi_application()
    """,
    ("return HttpResponse(work.do(slug))",),
)
#: `manage.py` of that one.
MANAGE = """
import sys
import app
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""
BOTTLE = App(
    """
    from bottle import Bottle
    import work

    application = Bottle()


    @application.get("/work/<slug>")
    def view(slug):
        return work.do(slug)
    """,
    ("return work.do(slug)",),
)
PYRAMID = App(
    """
    from pyramid.config import Configurator
    from pyramid.response import Response
    import work


    def view(request):
        return Response(work.do(request.matchdict["slug"]))


    with Configurator() as config:
        config.add_route("work", "/work/{slug}")
        config.add_view(view, route_name="work")
        application = config.make_wsgi_app()
    """,
    ('return Response(work.do(request.matchdict["slug"]))',),
    # It imports `cgi` and `pkg_resources`, which say that their time is over.
    warnings="default",
)
FALCON = App(
    """
    import falcon
    import work


    class View:
        def on_get(self, request, response, slug):
            response.text = work.do(slug)


    application = falcon.App()
    application.add_route("/work/{slug}", View())
    """,
    ("response.text = work.do(slug)",),
)
#: A Flask app below a path of another one. Without the line, both have hooks of their own: the server's and Flask's.
MOUNTED = App(
    """
    from bottle import Bottle
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    import work

    app = Flask(__name__)


    @app.get("/<slug>")
    def view(slug):
        return work.do(slug)


    application = DispatcherMiddleware(Bottle(), {"/work": app})
    """,
    ("return work.do(slug)",),
)
#: Traced where it is called, within middleware of the app's own that is traced, too.
SURROUNDED = App(
    """
    from flask import Flask
    import work

    application = app = Flask(__name__)


    @app.get("/work/<slug>")
    def view(slug):
        return work.do(slug)


    class Around:
        def __init__(self, app):
            self.app = app

        def __call__(self, environ, start_response):
            return self.app(environ, start_response)


    app.wsgi_app = Around(app.wsgi_app)
    """,
    ("return work.do(slug)", "return self.app(environ, start_response)"),
    wrap="import playtrace_agent.flask\nplaytrace_agent.flask.init_app(application)\n",
)

GUNICORN = ["-m", "gunicorn", "--workers", "2", "--threads", "4", "--bind", "127.0.0.1:{port}", "app:application"]
PRELOAD = [*GUNICORN, "--preload"]
WAITRESS = ["-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "8", "app:application"]
GRANIAN = ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "2", "app:application"]
WSGIREF = ["-m", "serve_wsgiref", "{port}"]
WERKZEUG = ["-m", "serve_werkzeug", "{port}"]
FLASK_RUN = ["-m", "flask", "--app", "app:application", "run", "--port", "{port}"]
RUNSERVER = ["manage.py", "runserver", "--noreload", "{port}"]
RELOADING = ["manage.py", "runserver", "{port}"]

SERVERS = {
    "serve_wsgiref.py": """
    import sys
    from wsgiref.simple_server import make_server
    import app

    try:
        make_server("127.0.0.1", int(sys.argv[1]), app.application).serve_forever()
    except KeyboardInterrupt:
        pass
    """,
    "serve_werkzeug.py": """
    import sys
    from werkzeug.serving import run_simple
    import app

    run_simple("127.0.0.1", int(sys.argv[1]), app.application, threaded=True)
    """,
}

WITH_THE_LINE = (
    ("flask", FLASK, "waitress", WAITRESS),
    ("surrounded", SURROUNDED, "gunicorn", GUNICORN),
    ("django", DJANGO, "gunicorn", GUNICORN),
    ("bottle", BOTTLE, "wsgiref", WSGIREF),
    ("bottle", BOTTLE, "granian", GRANIAN),
    ("pyramid", PYRAMID, "waitress", WAITRESS),
    ("falcon", FALCON, "gunicorn", GUNICORN),
    ("mounted", MOUNTED, "werkzeug", WERKZEUG),
)
WITHOUT_THE_LINE = (
    *WITH_THE_LINE,
    ("flask", FLASK, "flask-run", FLASK_RUN),
    ("django", DJANGO, "waitress", WAITRESS),
    ("django", DJANGO, "runserver", RUNSERVER),
    ("django", DJANGO, "reloading", RELOADING),
    ("bottle", BOTTLE, "preload", PRELOAD),
    ("falcon", FALCON, "wsgiref", WSGIREF),
    ("mounted", MOUNTED, "preload", PRELOAD),
)


def _cases(cases: tuple[tuple[str, App, str, list[str]], ...]) -> list[ParameterSet]:
    return [pytest.param(app, command, id=f"{name}-{server}") for name, app, server, command in cases]


def _write(workspace: Workspace, app: App, *, line: bool) -> None:
    workspace.write("work.py", WORK)
    path = workspace.write("app.py", app.text)
    if line:
        path.write_text(path.read_text() + app.wrap)
    workspace.write("manage.py", MANAGE)
    for name, text in SERVERS.items():
        workspace.write(name, text)
    omitted = "driver*.py, serve_*.py, manage.py"
    workspace.write("coverage.profile-playback.ini", f"[run]\nrelative_files = True\nomit = {omitted}\n")


def _env(app: App, **more: str | None) -> dict[str, str | None]:
    return {"PYTHONWARNINGS": app.warnings, **more}


def _end(command: list[str]) -> signal.Signals:
    return signal.SIGTERM if "gunicorn" in command else signal.SIGINT


@pytest.mark.parametrize(("app", "command"), _cases(WITH_THE_LINE))
def test_with_the_line(workspace: Workspace, app: App, command: list[str]) -> None:
    _write(workspace, app, line=True)
    with serving(workspace, [sys.executable, *command], end=_end(command), env=_env(app)) as url:
        statuses = replay(url)
    check(workspace, app, statuses)


@pytest.mark.parametrize(("app", "command"), _cases(WITHOUT_THE_LINE))
def test_without_the_line(workspace: Workspace, app: App, command: list[str]) -> None:
    _write(workspace, app, line=False)
    whole = [*RUN, sys.executable, *command]
    with serving(workspace, whole, end=_end(command), env=_env(app, ENABLE_PROFILE_COVERAGE=None)) as url:
        statuses = replay(url)
    check(workspace, app, statuses)


@pytest.mark.parametrize(
    ("app", "command"),
    _cases(
        (
            ("flask", FLASK, "gunicorn", GUNICORN),
            ("bottle", BOTTLE, "wsgiref", WSGIREF),
            ("mounted", MOUNTED, "werkzeug", WERKZEUG),
        )
    ),
)
def test_with_both(workspace: Workspace, app: App, command: list[str]) -> None:
    _write(workspace, app, line=True)
    with serving(workspace, [*RUN, sys.executable, *command], end=_end(command), env=_env(app)) as url:
        statuses = replay(url)
    check(workspace, app, statuses)


_PLACES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
UWSGI = [shutil.which("uwsgi", path=_PLACES) or "", "--http-socket", "127.0.0.1:{port}", "--home", sys.prefix]
UWSGI += ["--module", "app", "--master", "--threads", "4", "--die-on-term", "--disable-logging"]
#: Loaded before its workers are forked, or in the worker.
FORKED = ["--processes", "2"]
LAZY = ["--processes", "1", "--lazy-apps"]


@pytest.mark.skipif(not UWSGI[0], reason="uWSGI is not installed: it has no wheel")
@pytest.mark.parametrize(
    ("app", "line", "options"),
    [(FLASK, True, FORKED), (FLASK, False, FORKED), (DJANGO, False, LAZY), (BOTTLE, True, LAZY)],
    ids=["flask-with", "flask-without", "django-without", "bottle-with"],
)
def test_uwsgi(workspace: Workspace, app: App, options: list[str], *, line: bool) -> None:
    _write(workspace, app, line=line)
    env = _env(app, ENABLE_PROFILE_COVERAGE="1" if line else None)
    with serving(workspace, [*([] if line else RUN), *UWSGI, *options], end=signal.SIGTERM, env=env) as url:
        statuses = replay(url)
    check(workspace, app, statuses)


#: What an app does that starts threads when it is imported, as clients of services do.
THREADS = """
import queue, threading

jobs = queue.SimpleQueue()
for _ in range(3):
    threading.Thread(target=jobs.get, daemon=True).start()
"""
THREADED = replace(FLASK, wrap=FLASK.wrap + THREADS)


@pytest.mark.skipif(not UWSGI[0], reason="uWSGI is not installed: it has no wheel")
def test_uwsgi_forks_and_tells_python_of_it(workspace: Workspace) -> None:
    _write(workspace, THREADED, line=True)
    command = [*UWSGI, *FORKED, "--py-call-uwsgi-fork-hooks"]
    with serving(workspace, command, end=signal.SIGTERM, env=_env(THREADED)) as url:
        statuses = replay(url)
    check(workspace, THREADED, statuses)


@pytest.mark.skipif(not UWSGI[0], reason="uWSGI is not installed: it has no wheel")
def test_uwsgi_forks_and_keeps_it_to_itself(workspace: Workspace) -> None:
    """CPython would follow the master's threads, which are not there, and crash. Nothing is traced instead."""
    _write(workspace, THREADED, line=True)
    with serving(workspace, [*UWSGI, *FORKED], end=signal.SIGTERM, env=_env(THREADED), refusing=True) as url:
        statuses = replay(url)
    assert {status for found in statuses.values() for status in found} == {
        "off; this process was forked and Python was not told: 3 threads of the process before are still in its books, "
        "and to listen would end in a crash; with uWSGI, use --py-call-uwsgi-fork-hooks or --lazy-apps [PT-AGENT-003]"
    }
    log = (workspace.root / "server.log").read_text()
    assert log.count("not traced: ") in (1, 2), "once in each worker that was asked"
    assert "died" not in log
    assert workspace.look().shards() == []


def test_every_framework_is_here() -> None:
    for name in ("bottle", "django", "falcon", "pyramid", "waitress"):
        assert importlib.util.find_spec(name) is not None, f"{name}: install requirements/dev.txt"
