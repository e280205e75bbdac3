"""Dramatiq: real workers under eight profiles at once, and what becomes of messages that do not end well."""

from __future__ import annotations

import json
import os
import signal
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
    "pipeline": 3,
    "group": 3,
    "parent": 4,
    "coroutine": 1,
    "failing": 2,
}
LOAD = Load("dramatiq_app", KINDS, rounds=1)
WORKER = (sys.executable, "-m", "dramatiq", "dramatiq_app", "--processes", "2", "--threads", "3")
RUN = (sys.executable, "-m", "playtrace_agent", "run", "--")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.mark.parametrize(
    "line", [pytest.param(True, marks=thorough, id="a line in the app"), pytest.param(False, id="started by us")]
)
def test_profiles_at_once(workspace: Workspace, redis_url: str, *, line: bool) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url, **ALWAYS, **({} if line else {"TEST_LINE": "none"})}
    sender = env if line else {**env, "PROFILE_COVERAGE_HOOKS": "1"}
    with running(workspace, WORKER if line else [*RUN, *WORKER], env, signal.SIGTERM) as process:
        LOAD.send(workspace, sender)
        LOAD.wait(connection, process)
    connection.close()
    assert "data may be incomplete" not in said(workspace)
    assert "not traced" not in said(workspace)
    found = compare(workspace, LOAD)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace)
    see_traffic(workspace, LOAD)
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))


#: Sends a message of each kind that does not end well, as work of a profile of the kind's name; prints their ids.
ENDS = """
import json
import dramatiq
import playtrace_agent
from dramatiq_app import broker, gated, old, plain

nowhere = dramatiq.Message(queue_name="default", actor_name="nowhere", args=(), kwargs={}, options={})
SEND = {
    "old": lambda: old.send("nobody_beat"),
    "unknown": lambda: broker.enqueue(nowhere),
    "elsewhere": lambda: broker.enqueue(plain.message("nobody_beat").copy(queue_name="elsewhere")),
    "killed": lambda: gated.send("p2_plain_0_0"),
}
ids = {}
for slug, send in SEND.items():
    with playtrace_agent.trace(slug, "r"):
        ids[slug] = send().message_id
print(json.dumps(ids))
"""


@thorough
def test_messages_that_do_not_end_well(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url}
    ids = json.loads(workspace.run(ENDS, env=env, warnings="default").out)
    with running(workspace, WORKER, env, signal.SIGTERM) as process:
        wait(lambda: bool(connection.exists("pid:p2_plain_0_0")) or process.poll() is not None)
        wait(lambda: all(workspace.look().of_kind(slug, "dropped", "r") for slug in ("old", "unknown")))
        os.kill(int(str(connection.get("pid:p2_plain_0_0"))), signal.SIGKILL)
    connection.close()
    results = {slug: judge(workspace, [], slug=slug, run="r") for slug in ids}
    for slug, words in {
        "old": "(old) did not run: a middleware of its worker skipped it",
        "unknown": "(nowhere) did not run: its worker has no actor nowhere",
        "elsewhere": "(plain) was enqueued and has not been started",
    }.items():
        assert results[slug].names(f"job {ids[slug]} {words}"), results[slug]
    assert results["killed"].names("ended in the middle of", f"job {ids['killed']} (gated)"), results["killed"]
    for judged in results.values():
        assert (judged.status, len(judged.reasons)) == ("partial", 1), judged


@thorough
def test_what_the_broker_refuses_is_withdrawn(workspace: Workspace, redis_url: str) -> None:
    LOAD.prepare(workspace, f"{redis_url}/2").close()
    workspace.run(
        """
import pytest
import dramatiq_app
import playtrace_agent
import redis
from dramatiq.brokers.redis import RedisBroker

dramatiq_app.plain.broker = RedisBroker(url="redis://127.0.0.1:1")
with playtrace_agent.trace("p", "r"):
    with pytest.raises(redis.ConnectionError):
        dramatiq_app.plain.send("nobody_beat")
""",
        env={"TEST_REDIS": redis_url},
        warnings="default",
    )
    assert len(workspace.look().of_kind("p", "withdrawn", "r")) == 1
    judged = judge(workspace, [], slug="p", run="r")
    assert (judged.status, judged.reasons) == ("complete", []), judged


#: Something takes the slug off on the way to the broker.
STRIP = """
from dramatiq import Message

encode = Message.encode


def _encode(self):
    if self.options.get("profile_trace_slug") == "p0":
        del self.options["profile_trace_slug"]
    return encode(self)


Message.encode = _encode
"""


@thorough
def test_faults_are_seen(workspace: Workspace, redis_url: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    workspace.write("faults.py", FAULTS + STRIP)
    env = {"TEST_REDIS": redis_url, "TEST_FAULTS": "1"}
    with running(workspace, WORKER, env, signal.SIGTERM) as process:
        LOAD.send(workspace, env)
        LOAD.wait(connection, process)
    connection.close()
    see_faults(workspace, LOAD)
