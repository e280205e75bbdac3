"""`playtrace-agent run`: variables and hooks, and nothing that stays."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge
from serving import RUN

from playtrace_agent.command import interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import Workspace


def run(
    workspace: Workspace, *words: str, env: Mapping[str, str | None] | None = None, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command by `playtrace-agent run` to its end."""
    variables: dict[str, str | None] = {"ENABLE_PROFILE_COVERAGE": None, "PYTHONWARNINGS": "error", **(env or {})}
    environment = workspace.environment(variables)
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [*RUN, *words], env=environment, cwd=workspace.app, capture_output=True, text=True, timeout=200, check=False
    )


def script(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_command_gets_its_arguments_and_gives_its_status(workspace: Workspace) -> None:
    code = "import sys; print(sys.argv[1:]); sys.exit(7)"
    done = run(workspace, sys.executable, "-c", code, "--", "-x", "a b")
    assert (done.returncode, done.stdout, done.stderr) == (7, "['--', '-x', 'a b']\n", "")


def test_help_shows_how() -> None:
    for words in (["--help"], ["run", "--help"]):
        done = subprocess.run([*RUN[:3], *words], capture_output=True, text=True, check=True)
        assert "playtrace-agent run -- gunicorn --workers 4 --threads 8 app:app" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 2, "no command"),
        (["no-such-command"], 127, "no-such-command: there is no such command"),
        (["./plain"], 126, "./plain: can't be executed"),
        (["./without"], 2, "where playtrace-agent is not installed"),
        (["./old"], 2, "which is Python 3.9: tracing needs 3.10 or newer"),
        (["./half"], 2, "playtrace_agent_child.pth is missing"),
        (["./broken"], 2, "which does not work: broken on purpose"),
    ],
)
def test_what_can_not_be_run_is_refused(workspace: Workspace, words: list[str], status: int, says: str) -> None:
    (workspace.app / "plain").write_text("#!/bin/sh\n")
    base = getattr(sys, "_base_executable", None)
    script(workspace.app / "without", f"#!{base}\n")
    for name, does in {
        "old": "echo '[[3, 9], true, true]'",
        "half": "echo '[[3, 12], true, false]'",
        "broken": "echo broken on purpose >&2",
    }.items():
        (workspace.root / name).mkdir()
        python = script(workspace.root / name / "python3", f"#!/bin/sh\n{does}\n")
        script(workspace.app / name, f"#!{python}\n")
    done = run(workspace, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert done.stderr.startswith("playtrace-agent: ")
    assert len(done.stderr.splitlines()) == 1


def test_faults_of_the_settings_stop_it_at_once(workspace: Workspace) -> None:
    done = run(workspace, "true", env={"PROFILE_COVERAGE_DISABLE": "threads,greens"})
    assert done.returncode == 2
    assert "'greens' can't be left out; use some of threads, " in done.stderr


def test_the_interpreter_of_a_script_is_found(tmp_path: Path) -> None:
    python = script(tmp_path / "python3", "#!/bin/sh\n")
    for text in (f"#!{python}\n", f"#!{python} -I\n", f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"):
        assert interpreter(script(tmp_path / "script", text)) == str(python)
    assert interpreter(python) == str(python)
    assert interpreter(script(tmp_path / "script", "#!/usr/bin/env -S python3 -u\n")) is not None
    for text in ("#!/bin/sh\npython3\n", "", "\x7fELF\n", "#!\n"):
        assert interpreter(script(tmp_path / "script", text)) is None


def _imported(workspace: Workspace, **variables: str | None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"],
        env=workspace.environment({"ENABLE_PROFILE_COVERAGE": None, **variables}),
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]


def test_nothing_is_imported_with_the_switch_off(workspace: Workspace) -> None:
    plain = _imported(workspace)
    assert plain
    assert not any(name.startswith("playtrace_agent") for name in plain)
    hooks = {"PROFILE_COVERAGE_HOOKS": "1", "PROFILE_TRACE_SLUG": "p"}
    for off in (None, "", "0", "false", "No", "OFF"):
        assert _imported(workspace, ENABLE_PROFILE_COVERAGE=off, **hooks) == plain
    # On, and neither by `run` nor by traced work.
    assert _imported(workspace, ENABLE_PROFILE_COVERAGE="1") == plain
    on = _imported(workspace, ENABLE_PROFILE_COVERAGE=" True ", PROFILE_COVERAGE_HOOKS="1")
    assert "playtrace_agent.hooks" in on
    # Everything else waits until there is an app.
    assert set(on) - set(plain) == {
        "__future__",
        "playtrace_agent",
        *(f"playtrace_agent.{name}" for name in ("child", "variables", "hooks", "onimport")),
    }


def test_every_file_goes_with_the_package() -> None:
    files = importlib.metadata.files("playtrace-agent")
    assert files is not None
    assert "playtrace_agent_child.pth" in {str(file) for file in files}


APP = """
import sys
import flask

app = flask.Flask("app")


@app.get("/")
def view():
    return "here"


def main():
    headers = {"X-Profile-Trace": "p", "X-Profile-Trace-Run": "r", "X-Profile-Trace-Step": "1"}
    answer = app.test_client().get("/", headers=headers)
    print(answer.text, answer.headers.getlist("X-Profile-Trace-Status"), flush=True)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import app; app.main()",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import app; app.main()'], check=True)",
        'import os; os.system(\'exec "$PYTHON" -c "import app; app.main()"\')',
        "import app, multiprocessing as m; p = m.get_context('spawn').Process(target=app.main); p.start(); p.join()",
        "import app, os; os.fork() and os.wait() or app.main()",
    ],
    ids=["itself", "subprocess", "shell", "spawn", "fork"],
)
def test_children_are_reached(workspace: Workspace, code: str) -> None:
    workspace.write("app.py", APP)
    done = run(workspace, sys.executable, "-c", code, env={"PYTHON": sys.executable})
    assert (done.returncode, done.stdout.splitlines()[:1], done.stderr) == (0, ["here ['on']"], "")
    assert workspace.look().lines("p", "app.py") == [9]
    assert judge(workspace, ["on"]).status == "complete"


def test_a_place_can_be_left_out(workspace: Workspace) -> None:
    workspace.write("app.py", APP)
    done = run(
        workspace, sys.executable, "-c", "import app; app.main()", env={"PROFILE_COVERAGE_DISABLE": "flask,gunicorn"}
    )
    assert (done.returncode, done.stdout) == (0, "here []\n")
    assert not workspace.data.exists()


def test_what_django_makes_is_traced_on_any_server(workspace: Workspace) -> None:
    code = (
        "from django.conf import settings; settings.configure(); from django.core import asgi, wsgi;"
        "print(type(asgi.get_asgi_application()).__module__, type(wsgi.get_wsgi_application()).__module__)"
    )
    done = run(workspace, sys.executable, "-c", code, env={"PYTHONWARNINGS": "default"})
    assert (done.returncode, done.stdout) == (0, "playtrace_agent.asgi playtrace_agent.wsgi\n"), done.stderr
    done = run(
        workspace, sys.executable, "-c", code, env={"PYTHONWARNINGS": "default", "PROFILE_COVERAGE_DISABLE": "django"}
    )
    assert done.stdout == "django.core.handlers.asgi django.core.handlers.wsgi\n"


def test_settings_that_an_app_finds_wrong_stop_it(workspace: Workspace) -> None:
    workspace.write("app.py", APP)
    # It finds its configuration beside it; what starts it does not.
    workspace.write("elsewhere/coverage.profile-playback.ini", "[run]\nrelative_files = perhaps\n")
    config = str(workspace.app / "elsewhere" / "coverage.profile-playback.ini")
    done = run(workspace, sys.executable, "-c", "import app", env={"PROFILE_COVERAGE_CONFIG": config})
    assert done.returncode == 1
    assert "SettingsError" in done.stderr.splitlines()[-1]


def test_apps_are_wrapped_once_each_by_its_own_middleware(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import logging, sys
        logging.basicConfig(level=logging.WARNING)
        from playtrace_agent import asgi, places, runtime, wsgi

        class Asgi:
            async def __call__(self, scope, receive, send):
                pass

        async def function(scope, receive, send):
            pass

        for other in (None, "app:app"):
            assert places.served(other) is places.served_asgi(other) is other
        assert not runtime.started()
        wrapped = places.served(lambda environ, start_response: [])
        assert type(wrapped) is wsgi.TraceMiddleware and places.served(wrapped) is wrapped
        for other in (Asgi(), function):
            wrapped = places.served(other)
            assert type(wrapped) is asgi.TraceMiddleware
            assert places.served(wrapped) is places.served_asgi(wrapped) is wrapped
        assert not {"flask", "django", "gunicorn"} & set(sys.modules)
        """
    )
    assert outcome.err == ""


def test_with_the_older_middleware_it_refuses(workspace: Workspace) -> None:
    workspace.write("app.py", APP)
    workspace.write("middleware/__init__.py", "")
    workspace.write("middleware/profile_coverage.py", "def before():\n    pass\n")
    code = (
        "import app, middleware.profile_coverage as old; app.app.before_request(old.before); app.main(); "
        "import wsgiref.simple_server as s; class_ = s.WSGIServer; server = class_.__new__(class_); "
        "server.set_app(app.app); assert server.application is app.app"
    )
    done = run(workspace, sys.executable, "-c", code)
    assert "off; the older coverage middleware" in done.stdout, done
    assert done.returncode == 0, done.stderr


def test_the_environment_says_it_all(workspace: Workspace) -> None:
    before = {name for name, _ in workspace.environment().items()}
    code = "import json, os; print(json.dumps(sorted(os.environ)))"
    done = run(workspace, sys.executable, "-c", code)
    assert set(json.loads(done.stdout)) - before - {"LC_CTYPE"} == {"PROFILE_COVERAGE_HOOKS", "PYTHONWARNINGS"}
    assert os.environ.get("PROFILE_COVERAGE_HOOKS") is None
