"""`playtrace-agent run` for both sides of Celery: an app that sends tasks and `celery worker`, with no line in them."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge
from queue_load import running, said, thorough
from rq_stage import serve, wait
from serving import RUN, get, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

APP = """
import flask
import os

if os.environ["TEST_IMPORT"] == "first":
    import tasks

application = flask.Flask("app")


@application.get("/work/<slug>")
def view(slug):
    import tasks
    if slug != "nobody":
        tasks.work.delay(slug)
    return slug
"""
TASKS = """
import os
from celery import Celery

url = os.environ["TEST_REDIS"]
app = Celery("tasks", broker=f"{url}/0", backend=f"{url}/1")
app.conf.broker_connection_retry_on_startup = True


@app.task
def work(name):
    return globals()[name]()


def ash():
    return 1


def birch():
    return 2
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


@thorough
@pytest.mark.parametrize(("pool", "imported"), [("prefork", "first"), ("threads", "late")])
def test_tasks_are_traced(workspace: Workspace, redis_url: str, pool: str, imported: str) -> None:
    workspace.write("app.py", APP)
    workspace.write("tasks.py", TASKS)
    env: dict[str, str | None] = {
        "ENABLE_PROFILE_COVERAGE": None, "TEST_REDIS": redis_url, "TEST_IMPORT": imported,
    }  # fmt: skip
    server = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:{port}", "app:application"]
    statuses: dict[str, list[str | None]] = {"ash": [], "birch": []}
    with serving(workspace, [*RUN, *server], end=signal.SIGINT, env=env) as url:
        for n in range(6):
            slug = ("ash", "birch")[n % 2]
            headers = {"X_Profile_Trace": slug, "X_Profile_Trace_Run": "r", "X_Profile_Trace_Step": str(n // 2 + 1)}
            statuses[slug].append(get(f"{url}/work/{slug}", **headers)[1])
        get(f"{url}/work/ash")
    quiet = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    worker = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", pool, "-c", "2", *quiet]
    with running(workspace, [*RUN, *worker], env, signal.SIGTERM):
        wait(lambda: said(workspace).count(" succeeded in ") == 7, lambda: said(workspace))
    wrote = workspace.look()
    first = TASKS.lstrip("\n").splitlines().index("def work(name):") + 2
    assert wrote.lines("ash", "tasks.py") == [first, first + 4]
    assert wrote.lines("birch", "tasks.py") == [first, first + 8]
    for slug, answers in statuses.items():
        assert len(wrote.of_kind(slug, "enqueue", "r")) == 3
        judged = judge(workspace, answers, slug=slug)
        assert (judged.status, judged.reasons) == ("complete", []), judged
