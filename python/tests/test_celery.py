"""Celery: real workers of each pool under eight profiles at once, and what becomes of tasks that do not end well."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import coverage
import pytest
from celery import Celery
from judged import judge
from queue_load import FAULTS, Load, compare, judge_all, running, said, see_faults, see_traffic, thorough
from rq_stage import serve, wait
from traffic import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

KINDS = {
    "plain": 1,
    "by_name": 1,
    "retried": 3,
    "chain": 3,
    "group": 3,
    "chord": 4,
    "countdown": 1,
    "eta": 1,
    "parent": 4,
    "replaced": 2,
    "failing": 2,
    "linked": 2,
    "rejecting": 1,
}
LOAD = Load("celery_app", KINDS, rounds=1)
QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")
RUN = (sys.executable, "-m", "playtrace_agent", "run", "--")
POOLS = {
    "prefork": ("-c", "3", "--max-tasks-per-child", "20"),
    "threads": ("-c", "4"),
    "gevent": ("-c", "20"),
    "eventlet": ("-c", "20"),
    "solo": (),
}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


def worker(pool: str, *more: str) -> list[str]:
    """Return the command of a worker."""
    return [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", pool, *POOLS[pool], *QUIET, *more]


def dropped(workspace: Workspace, slug: str) -> bool:
    """Say whether the ledger knows that a worker dropped a task."""
    return bool(workspace.look().of_kind(slug, "dropped", "r"))


def merged_lines(workspace: Workspace, slug: str) -> set[str]:
    """Return the leaves that a merged file says were called."""
    data = coverage.CoverageData(str(workspace.data / f"{slug}.coverage"))
    data.read()
    data.set_query_context(f"profile:{slug}")
    texts = (workspace.app / "leaves.py").read_text().splitlines()
    return {texts[line - 1].strip().removeprefix("return ").strip("'") for line in data.lines("leaves.py") or []}


@pytest.mark.parametrize(
    ("pool", "protocol", "line"),
    [
        ("prefork", "2", False),
        pytest.param("prefork", "2", True, marks=thorough),
        pytest.param("threads", "2", True, marks=thorough),
        pytest.param("gevent", "2", True, marks=thorough),
        pytest.param("gevent", "2", False, marks=thorough),
        pytest.param("eventlet", "2", True, marks=thorough),
        pytest.param("eventlet", "2", False, marks=thorough),
        pytest.param("solo", "2", True, marks=thorough),
        pytest.param("threads", "1", True, marks=thorough),
    ],
)
def test_profiles_at_once(workspace: Workspace, redis_url: str, pool: str, protocol: str, *, line: bool) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env: dict[str, str | None] = {"TEST_REDIS": redis_url, "TEST_PROTOCOL": protocol, **ALWAYS}
    env["TEST_LINE"] = None if line else "none"
    beat = ["-B", "-s", str(workspace.root / "beat")] if pool == "prefork" else []
    env["TEST_BEAT"] = "1" if beat else None
    with running(workspace, [*(() if line else RUN), *worker(pool, *beat)], env, signal.SIGTERM) as process:
        LOAD.send(workspace, env if line else {**env, "PROFILE_COVERAGE_HOOKS": "1"})
        LOAD.wait(connection, process)
    if beat:
        assert int(str(connection.get("beats"))) > 0
    connection.close()
    assert "data may be incomplete" not in said(workspace)
    assert "not traced" not in said(workspace)
    found = compare(workspace, LOAD)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace)
    see_traffic(workspace, LOAD)
    # Each execution was promised by the main process before its pool had it.
    wrote = workspace.look()
    units = [record["job"] for record in wrote.of_kind("p4", "open", "r") if record["kind"] == "job"]
    assert sorted(record["job"] for record in wrote.of_kind("p4", "job-start", "r")) == sorted(units)
    assert {record["worker"] for record in wrote.of_kind("p4", "job-start", "r")} == {f"celery@{socket.gethostname()}"}
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))


#: Sends a task of each kind that does not end well, as work of a profile of the kind's name; prints their ids.
ENDS = """
import json
import celery_app
import playtrace_agent
from celery_app import app, errback, gated, plain, retried

SEND = {
    "expired": lambda: plain.apply_async(("nobody_beat",), expires=0.001),
    "unknown": lambda: app.send_task("celery_app.nowhere"),
    "invalid": lambda: app.send_task("celery_app.plain", ("nobody_beat",), eta="some day"),
    "elsewhere": lambda: plain.apply_async(("p0_plain_0_0",), queue="elsewhere"),
    "retry-lost": lambda: celery_app.retried_elsewhere.delay("p1_plain_0_0"),
    "killed": lambda: gated.apply_async(("p2_plain_0_0",), link_error=errback.s("p3_plain_0_0")),
    "terminated": lambda: gated.delay("p4_plain_0_0"),
    # The last one: on a busy machine, sending others between it and its revocation took longer than it waits.
    "revoked": lambda: plain.apply_async(("nobody_beat",), countdown=2),
}
ids = {}
for slug, send in SEND.items():
    with playtrace_agent.trace(slug, "r"):
        ids[slug] = send().id
app.control.revoke(ids["revoked"])
print(json.dumps(ids))
"""


def test_tasks_that_do_not_end_well(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url}
    with running(workspace, worker("prefork"), env, signal.SIGTERM):
        # As an operator does.
        control = Celery(broker=f"{redis_url}/0").control
        wait(lambda: bool(control.ping(timeout=0.2)))
        ids = json.loads(workspace.run(ENDS, env=env, warnings="default").out)
        gates = ("p2_plain_0_0", "p4_plain_0_0")
        wait(lambda: all(connection.exists(f"pid:{name}") for name in gates))
        os.kill(int(str(connection.get("pid:p2_plain_0_0"))), signal.SIGKILL)
        control.revoke(ids["terminated"], terminate=True)
        wait(lambda: bool(connection.sismember("called", "p3_plain_0_0")))
        wait(lambda: all(dropped(workspace, slug) for slug in ("revoked", "expired", "unknown", "invalid")))
        wait(lambda: bool(connection.sismember("called", "p1_plain_0_0")))
    connection.close()
    results = {slug: judge(workspace, [], slug=slug, run="r") for slug in ids}
    assert {slug: judged.status for slug, judged in results.items()} == {
        "revoked": "complete",
        "expired": "partial",
        "unknown": "partial",
        "invalid": "partial",
        "elsewhere": "partial",
        "retry-lost": "partial",
        "killed": "partial",
        "terminated": "complete",
    }, results
    plain = "(celery_app.plain)"
    revoked = f"job {ids['revoked']} {plain} did not run: it was revoked before a worker began it"
    assert revoked in results["revoked"].notes
    for slug, words in {
        "expired": (plain, "did not run: it expired before a worker began it"),
        "unknown": ("(celery_app.nowhere)", "did not run: its worker has no task celery_app.nowhere"),
        "invalid": (plain, "did not run: its worker refused its message: InvalidTaskError: invalid ETA value"),
        "elsewhere": (plain, "was enqueued and has not been started"),
        "retry-lost": ("(celery_app.retried_elsewhere)", "was enqueued again (a retry, say), and of its 2 executions"),
    }.items():
        assert results[slug].names(f"job {ids[slug]} {words[0]} {words[1]}"), results[slug]
        assert len(results[slug].reasons) == 1, results[slug]
    killed = results["killed"]
    assert killed.names("ended in the middle of", f"job {ids['killed']} (celery_app.gated)"), killed
    assert len(killed.reasons) == 1, killed
    # What its process had executed is there, and so is what was called because of its death.
    merged = merged_lines(workspace, "killed")
    assert merged == {"p2_plain_0_0", "p3_plain_0_0"}
    assert merged_lines(workspace, "terminated") == {"p4_plain_0_0"}


def test_what_the_broker_refuses_is_withdrawn(workspace: Workspace, redis_url: str) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    workspace.run(
        """
import os
import pytest
import celery_app
import kombu.exceptions
import playtrace_agent

celery_app.app.conf.update(broker_url="redis://127.0.0.1:1", broker_transport_options={"max_retries": 0})
with playtrace_agent.trace("p", "r"):
    with pytest.raises(kombu.exceptions.OperationalError):
        celery_app.app.send_task("celery_app.plain", ("nobody_beat",), ignore_result=True)
""",
        env={"TEST_REDIS": redis_url},
        warnings="default",
    )
    assert len(workspace.look().of_kind("p", "withdrawn", "r")) == 1
    judged = judge(workspace, [], slug="p", run="r")
    assert (judged.status, judged.reasons) == ("complete", []), judged


#: A receiver of the app's that takes off headers that it does not know.
STRIP = """
from celery import signals


@signals.before_task_publish.connect(weak=False)
def _strip(headers=None, **_):
    if headers.get("profile_trace_slug") == "p0":
        del headers["profile_trace_slug"]
"""


def test_faults_are_seen(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    workspace.write("faults.py", FAULTS + STRIP)
    env = {"TEST_REDIS": redis_url, "TEST_FAULTS": "1"}
    with running(workspace, worker("threads"), env, signal.SIGTERM) as process:
        LOAD.send(workspace, env)
        LOAD.wait(connection, process)
    connection.close()
    stripped = see_faults(workspace, LOAD)
    for record in workspace.look().of_kind("p0", "enqueue", "r"):
        assert stripped.names(f"task {record['job']}", "its message lost profile_trace_slug"), stripped
