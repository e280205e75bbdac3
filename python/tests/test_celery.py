"""Celery: real workers of each pool under eight profiles at once, and what becomes of tasks that do not end well."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from queue_load import Load, compare, judge_all, running, said
from rq_stage import serve

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
POOLS = {"prefork": ("-c", "3"), "threads": ("-c", "4"), "solo": ()}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("redis"))


def worker(pool: str, *more: str) -> list[str]:
    """Return the command of a worker."""
    return [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", pool, *POOLS[pool], *QUIET, *more]


@pytest.mark.parametrize("pool", POOLS)
def test_profiles_at_once(workspace: Workspace, redis_url: str, pool: str) -> None:
    connection = LOAD.prepare(workspace, f"{redis_url}/2")
    env = {"TEST_REDIS": redis_url, "TEST_BEAT": "1" if pool == "prefork" else None}
    beat = ("-B", "-s", str(workspace.root / "beat")) if pool == "prefork" else ()
    with running(workspace, worker(pool, *beat), env, signal.SIGTERM) as process:
        LOAD.send(workspace, env)
        LOAD.wait(connection, process)
    if beat:
        assert int(str(connection.get("beats"))) > 0
    connection.close()
    assert "data may be incomplete" not in said(workspace)
    assert "not traced" not in said(workspace)
    found = compare(workspace, LOAD)
    assert (found.wrong, found.lost) == ([], [])
    judge_all(workspace)
    assert not list((workspace.data / ".playtrace" / ".jobs").glob("*"))
