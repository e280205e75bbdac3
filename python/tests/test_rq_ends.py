"""Jobs and workers that are ended from outside: the verdict says so, and the app sees no difference."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from rq_cases import BY_NAME, FEATURES
from rq_stage import RUN, Stage, serve, tagged, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Workspace

ALL = os.environ.get("PLAYTRACE_TEST_RQ") == "all"
SPAWNING = ["spawning"] if ALL and "spawn" in FEATURES else []
#: Workers whose job is a process of its own.
APART = ["forking", *SPAWNING]
#: Takes many seconds, most of them waiting.
LONG = pytest.mark.skipif(not ALL, reason="make rq-matrix")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis."""
    yield from serve(tmp_path_factory.mktemp("redis"))


@pytest.fixture
def stage(redis_url: str, workspace: Workspace) -> Iterator[Stage]:
    """Return an empty stage."""
    stage = Stage(workspace, redis_url)
    yield stage
    stage.close()


def interrupt(stage: Stage, kind: str, name: str, interfere: Callable[[str], None]) -> None:
    """Let a worker do a case and its twin, and interfere with each when it has come to its gate."""
    stage.enqueue([name])
    with stage.worker(kind) as worker:
        try:
            for who in ("twin", "traced"):
                stage.pid(f"{name}-{who}")
                interfere(f"{name}-{who}")
            wait(stage.done, stage.undone)
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=60)
        except BaseException:
            worker.kill()
            raise
    case = BY_NAME[name]
    traced, twin = stage.seen(f"{name}-traced"), stage.seen(f"{name}-twin")
    done = case.jobs[""]
    assert (twin.status, twin.result, twin.executions) == (done.status, done.result, done.executions)
    assert done.error in twin.error
    assert twin.called == case.called
    assert str(traced) == str(twin).replace("-twin", "-traced")


def one_execution_was_lost(stage: Stage, name: str) -> None:
    """Check that the verdict names the job whose process was killed, and that the rest is there."""
    case, job = BY_NAME[name], f"{name}-traced"
    assert stage.units(name) == {job: case.jobs[""].executions}
    assert [record["job"] for record in stage.workspace.look().unclosed(name, RUN)] == [job]
    status, reasons = stage.judge(name)
    assert status == "partial"
    assert len(reasons) == 1, reasons
    assert f"ended in the middle of job {job} (jobs." in reasons[0]
    contexts = stage.contexts()
    assert set(contexts) <= {f"profile:{name}", "import"}
    lines = set(contexts.get(f"profile:{name}", {}).get("jobs.py", []))
    # Of what the killed process did, each line may be there; of the rest, each must be.
    assert set(tagged(case.tags)) <= lines <= set(tagged(f"{case.tags} job count waiting stubborn reached"))


@pytest.mark.parametrize("kind", APART)
def test_a_stopped_job_is_named_and_its_callback_is_its_own(stage: Stage, kind: str) -> None:
    interrupt(stage, kind, "stopped", stage.stop)
    one_execution_was_lost(stage, "stopped")


@pytest.mark.parametrize("kind", APART)
@pytest.mark.parametrize("name", ["killed", "killed-and-retried"])
def test_a_killed_work_horse_is_named(stage: Stage, kind: str, name: str) -> None:
    interrupt(stage, kind, name, lambda job: os.kill(stage.pid(job), signal.SIGKILL))
    one_execution_was_lost(stage, name)


@LONG
def test_a_job_that_its_timeout_does_not_reach_is_killed_by_the_worker(stage: Stage) -> None:
    interrupt(stage, "impatient", "hanging", lambda job: None)
    one_execution_was_lost(stage, "hanging")


@pytest.mark.parametrize("kind", ["forking", *(["simple"] if ALL else []), *SPAWNING])
def test_a_worker_that_is_asked_to_end_finishes_its_job(stage: Stage, kind: str) -> None:
    stage.enqueue(["waiting"])
    with stage.worker(kind) as worker:
        try:
            stage.redis.rpush("gate:waiting", "go on")
            stage.pid("waiting-traced")
            worker.send_signal(signal.SIGTERM)
            wait(lambda: bool(stage.redis.hexists("rq:worker:w1", "shutdown_requested_date")))
            stage.redis.rpush("gate:waiting", "go on")
            worker.communicate(timeout=60)
        except BaseException:
            worker.kill()
            raise
    assert worker.returncode == 0
    assert stage.undone() == []
    assert stage.contexts()["profile:waiting"] == {"jobs.py": tagged(BY_NAME["waiting"].tags)}
    assert stage.judge("waiting") == ("complete", [])


def test_workers_of_a_pool_trace(stage: Stage) -> None:
    names = ["plain", "retried", "parent"]
    stage.enqueue(names)
    with stage.worker("pool", "burst") as pool:
        try:
            pool.communicate(timeout=100)
        except BaseException:
            pool.kill()
            raise
    assert stage.undone() == []
    lines = {f"profile:{name}": {"jobs.py": tagged(BY_NAME[name].tags)} for name in names}
    assert {context: files for context, files in stage.contexts().items() if context != "import"} == lines
    assert [stage.judge(name) for name in names] == [("complete", [])] * len(names)


@LONG
@pytest.mark.skipif(importlib.util.find_spec("rq.cron") is None, reason="this RQ has no cron")
def test_what_cron_enqueues_is_nobodys(stage: Stage) -> None:
    stage.enqueue(["plain"])
    subprocess.run(stage.command("cron"), env=stage.workspace.environment(), check=True, timeout=60)
    with stage.worker("simple", "burst") as worker:
        worker.communicate(timeout=60)
    assert len(list(stage.redis.scan_iter("executions:*"))) == 3
    assert stage.units("plain") == {"plain-traced": 1}
    assert set(stage.contexts()) - {"import"} == {"profile:plain"}
    assert stage.judge("plain") == ("complete", [])


@pytest.mark.skipif("unique" not in FEATURES, reason="this RQ has no unique jobs")
def test_a_refused_duplicate_does_not_take_the_first_ones_promise_back(stage: Stage) -> None:
    stage.enqueue(["unique"])
    assert stage.workspace.look().of_kind("unique", "withdrawn", RUN) == []
    assert stage.judge("unique") == (
        "partial",
        ["job unique-traced (jobs.plain) was enqueued and has not been started"],
    )
