"""Huey: real consumers under eight profiles at once, and what becomes of tasks that do not end well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from judged import judge
from queue_load import FAULTS, Load, compare, judge_all, running, said, see_faults, see_traffic, thorough
from rq_stage import serve, wait
from traffic import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

KINDS = {
    "plain": 1,
    "delayed": 1,
    "retried": 3,
    "retried_later": 2,
    "pipeline": 3,
    "group": 2,
    "chord": 4,
    "parent": 4,
    "failing": 2,
}
LOAD = Load("huey_app", KINDS, rounds=1)
RUN = (sys.executable, "-m", "playtrace_agent", "run", "--")


def consumer(kind: str) -> list[str]:
    """Return the command of a consumer."""
    options = ["-k", kind, "-w", "3", "-s", "1", "-d", "0.05"]
    return [sys.executable, "-m", "huey.bin.huey_consumer", "huey_app.huey", *options]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.mark.parametrize(("kind", "line"), [pytest.param("thread", True, marks=thorough), ("process", False)])
def test_profiles_at_once(workspace: Workspace, redis_url: str, kind: str, *, line: bool) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url, "TEST_BEAT": "1", **ALWAYS, **({} if line else {"TEST_LINE": "none"})}
    with running(workspace, [*(() if line else RUN), *consumer(kind)], env, signal.SIGINT) as process:
        LOAD.send(workspace, env if line else {**env, "PROFILE_COVERAGE_HOOKS": "1"})
        LOAD.wait(connection, process)
    assert int(str(connection.get("beats"))) > 0
    connection.close()
    assert "data may be incomplete" not in said(workspace)
    assert "not traced" not in said(workspace)
    found = compare(workspace, LOAD)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace)
    see_traffic(workspace, LOAD)
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))


#: Enqueues a task of each kind that does not end well, as work of a profile of the kind's name; prints their ids.
ENDS = """
import json
import playtrace_agent
from huey_app import far, gated, huey, plain, unknown

tasks = {
    "revoked": plain.s("nobody_beat"),
    "expired": plain.s("nobody_beat", expires=-1),
    "unknown": unknown.s(),
    "killed": gated.s("p2_plain_0_0"),
}
huey.revoke(tasks["revoked"])
for slug, task in tasks.items():
    with playtrace_agent.trace(slug, "r"):
        huey.enqueue(task)
ids = {slug: task.id for slug, task in tasks.items()}
with playtrace_agent.trace("elsewhere", "r"):
    ids["elsewhere"] = far("nobody_beat").id
print(json.dumps(ids))
"""


@thorough
def test_tasks_that_do_not_end_well(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url}
    ids = json.loads(workspace.run(ENDS, env={**env, "TEST_WEB": "1"}, warnings="default").out)
    with running(workspace, consumer("process"), env, signal.SIGINT) as process:
        wait(lambda: bool(connection.exists("pid:p2_plain_0_0")) or process.poll() is not None)
        slugs = ("revoked", "expired", "unknown")
        wait(lambda: all(workspace.look().of_kind(slug, "dropped", "r") for slug in slugs))
        os.kill(int(str(connection.get("pid:p2_plain_0_0"))), signal.SIGKILL)
    connection.close()
    results = {slug: judge(workspace, [], slug=slug, run="r") for slug in ids}
    revoked = results.pop("revoked")
    assert (revoked.status, revoked.reasons) == ("complete", [])
    note = f"job {ids['revoked']} (huey_app.plain) did not run: it was revoked before a consumer began it"
    assert note in revoked.notes
    for slug, words in {
        "expired": "(huey_app.plain) did not run: it expired before a consumer began it",
        "unknown": "(huey_app.unknown) did not run: its consumer can't make huey_app.unknown of its message",
        "elsewhere": "(huey_app.far) was enqueued and has not been started",
    }.items():
        assert results[slug].names(f"job {ids[slug]} {words}"), results[slug]
    assert results["killed"].names("ended in the middle of", f"job {ids['killed']} (huey_app.gated)"), results["killed"]
    for judged in results.values():
        assert (judged.status, len(judged.reasons)) == ("partial", 1), judged


@thorough
def test_what_the_storage_refuses_is_withdrawn_and_a_serializer_without_a_place_is_named(
    workspace: Workspace, redis_url: str
) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    workspace.run(
        """
import json
import pytest
import playtrace_agent
import playtrace_agent.huey
import redis
from huey import MemoryHuey, RedisHuey, group

playtrace_agent.huey.install()
down = RedisHuey("down", url="redis://127.0.0.1:1")


class Json:
    def serialize(self, data):
        return json.dumps(data).encode()

    def deserialize(self, data):
        return json.loads(data)


@down.task()
def refused():
    pass


other = MemoryHuey("other", serializer=Json())


@other.task()
def placeless():
    pass


half, calls = MemoryHuey("half"), []
put = half.storage.enqueue


def enqueue(*args):
    calls.append(args)
    if len(calls) == 2:
        raise OSError("full")
    return put(*args)


half.storage.enqueue = enqueue


@half.task()
def first():
    pass


@half.task()
def second():
    pass


with playtrace_agent.trace("p", "r"):
    with pytest.raises(redis.ConnectionError):
        refused()
with playtrace_agent.trace("half", "r"):
    with pytest.raises(OSError):
        half.enqueue(group([first.s(), second.s()]))
with playtrace_agent.trace("q", "r"):
    placeless()
""",
        env={"TEST_REDIS": redis_url},
        warnings="default",
    )
    assert len(workspace.look().of_kind("p", "withdrawn", "r")) == 1
    judged = judge(workspace, [], slug="p", run="r")
    assert (judged.status, judged.reasons) == ("complete", []), judged
    # What a group has sent before is on its way.
    half = judge(workspace, [], slug="half", run="r")
    assert half.names("first) was enqueued and has not been started"), half
    assert len(half.reasons) == 1, half
    placeless = judge(workspace, [], slug="q", run="r")
    assert placeless.status == "failed"
    assert placeless.names("Json leaves no place for profile_trace_slug"), placeless


@thorough
def test_who_has_no_agent_reads_the_same_task(workspace: Workspace, redis_url: str) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    text = """
import sys
import playtrace_agent
from huey_app import huey, plain

if sys.argv[1:]:
    task = huey.deserialize_task(bytes.fromhex(sys.argv[1]))
    print(type(task).__name__, task.id, task.args, "_playtrace_run" in vars(task))
else:
    with playtrace_agent.trace("p", "r"):
        plain("nobody_beat")
    (message,) = huey.storage.enqueued_items()
    assert message != huey.serialize_task(plain.s("nobody_beat"))
    print(huey.deserialize_task(message).id, message.hex())
"""
    outcome = workspace.run(text, env={"TEST_REDIS": redis_url}, warnings="default")
    job, message = outcome.out.split()
    env = workspace.environment({"TEST_REDIS": redis_url, "ENABLE_PROFILE_COVERAGE": None})
    command = [sys.executable, str(workspace.app / "driver.py"), message]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"plain {job} ('nobody_beat',) False\n"


@thorough
def test_a_task_that_is_run_at_once_is_a_job_of_its_own(workspace: Workspace, redis_url: str) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    text = """
import playtrace_agent
from huey_app import huey, plain

huey.immediate = True
with playtrace_agent.trace("p", "r"):
    print(plain("p0_plain_0_0").id)
"""
    job = workspace.run(text, env={"TEST_REDIS": redis_url}, warnings="default").out.strip()
    wrote = workspace.look()
    assert [record.get("job") for record in wrote.of_kind("p", "open", "r")] == [None, job]
    assert len(wrote.lines("p", "leaves.py")) == 1
    judged = judge(workspace, [], slug="p", run="r")
    assert (judged.status, judged.reasons) == ("complete", []), judged


#: Something cuts off what stands behind the pickle of some messages.
STRIP = """
import playtrace_agent.huey
from playtrace_agent import huey

carried = huey._carried
huey._carried = lambda data: None if b'"p0"' in data else carried(data)
"""


@thorough
def test_faults_are_seen(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    workspace.write("faults.py", FAULTS + STRIP)
    env = {"TEST_REDIS": redis_url, "TEST_FAULTS": "1"}
    with running(workspace, consumer("thread"), env, signal.SIGINT) as process:
        LOAD.send(workspace, env)
        LOAD.wait(connection, process)
    connection.close()
    see_faults(workspace, LOAD)
