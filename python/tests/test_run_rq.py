"""`playtrace-agent run` for both sides of RQ: an app that enqueues, and `rq worker`, with no line in either."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge
from rq_stage import serve
from serving import RUN, get, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

APP = """
import flask
import os
import jobs

if os.environ["TEST_IMPORT"] == "first":
    import rq

application = flask.Flask("app")


@application.get("/work/<slug>")
def view(slug):
    if slug != "nobody":
        import redis
        import rq
        queue = rq.Queue("work", connection=redis.Redis.from_url(os.environ["TEST_REDIS"]))
        queue.enqueue(getattr(jobs, slug))
    return slug
"""
JOBS = """
def ash():
    return 1


def birch():
    return 2
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.mark.parametrize(
    ("kind", "imported"),
    [
        ("rq.Worker", "first"),
        ("rq.worker.SimpleWorker", "late"),
        ("rq.worker.SpawnWorker", "late"),
        ("worker-pool", "late"),
    ],
)
def test_jobs_are_traced(workspace: Workspace, redis_url: str, kind: str, imported: str) -> None:
    workspace.write("app.py", APP)
    workspace.write("jobs.py", JOBS)
    env = {"ENABLE_PROFILE_COVERAGE": None, "TEST_REDIS": redis_url, "TEST_IMPORT": imported}
    server = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:{port}", "app:application"]
    statuses: dict[str, list[str | None]] = {"ash": [], "birch": []}
    with serving(workspace, [*RUN, *server], end=signal.SIGINT, env=env) as url:
        for n in range(6):
            slug = ("ash", "birch")[n % 2]
            headers = {"X_Profile_Trace": slug, "X_Profile_Trace_Run": "r", "X_Profile_Trace_Step": str(n // 2 + 1)}
            statuses[slug].append(get(f"{url}/work/{slug}", **headers)[1])
        get(f"{url}/work/ash")
    command = ["worker-pool", "-n", "2"] if kind == "worker-pool" else ["worker", "--worker-class", kind]
    worker = [sys.executable, "-m", "rq.cli", *command, "--burst", "--url", redis_url, "work"]
    done = subprocess.run(
        [*RUN, *worker], env=workspace.environment(env), cwd=workspace.app, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    wrote = workspace.look()
    assert (wrote.lines("ash", "jobs.py"), wrote.lines("birch", "jobs.py")) == ([2], [6])
    for slug, answers in statuses.items():
        assert len(wrote.of_kind(slug, "enqueue", "r")) == 3
        judged = judge(workspace, answers, slug=slug)
        assert (judged.status, judged.reasons) == ("complete", []), judged
