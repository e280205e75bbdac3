"""`PROFILE_COVERAGE_DISABLE` leaves a change out: nothing is credited to anybody else, and the verdict says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import judge

from playtrace_agent import settings

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
import concurrent.futures
import multiprocessing
import subprocess
import sys
import threading


def inner():
    return 1


def other():
    return 2


def threads():
    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()


def pool():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(inner).result()


def program():
    subprocess.run([sys.executable, "-c", "import work; work.inner()"], check=True)


def process():
    process = multiprocessing.get_context("spawn").Process(target=inner)
    process.start()
    process.join()


def queue():
    queue = multiprocessing.get_context("spawn").Queue()
    queue.put([inner])
    queue.get()
    queue.close()
    queue.join_thread()


class Pools:
    def __init__(self, kind, method):
        self.kind = kind
        self.method = method
        self.made = None

    def call(self, function):
        context = multiprocessing.get_context(self.method)
        if self.made is None and self.kind == "executor":
            self.made = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
        elif self.made is None:
            self.made = context.Pool(1) if self.kind == "pool" else multiprocessing.pool.ThreadPool(1)
        if self.kind == "executor":
            return self.made.submit(function).result()
        return self.made.apply(function)
"""
#: The line of `inner`, and of `other`.
INNER, OTHER = 9, 13

DRIVER = """
import multiprocessing.pool
import playtrace_agent
import work

if __name__ == "__main__":
    with playtrace_agent.trace("p", "r"):
        work.{}()
"""


@pytest.mark.parametrize(
    ("name", "does", "reason"),
    [
        ("threads", "threads", "threads are not followed: PROFILE_COVERAGE_DISABLE has 'threads'"),
        ("thread-pools", "pool", "calls in thread pools are not followed"),
        ("subprocess", "program", "programs that traced work starts are not followed"),
        ("multiprocessing", "process", "processes of multiprocessing are not followed"),
        ("multiprocessing", "queue", "what a multiprocessing queue pickles is not followed"),
    ],
)
def test_what_is_left_out_is_lost_and_said(workspace: Workspace, name: str, does: str, reason: str) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(DRIVER.format(does), env={"PROFILE_COVERAGE_DISABLE": f" {name}, wsgiref"})
    lines = outcome.wrote.lines("p", "work.py")
    assert lines
    assert INNER not in lines
    judged = judge(workspace, None)
    assert judged.status == "partial"
    assert judged.names(reason), judged
    assert len(judged.reasons) == 1


@pytest.mark.parametrize("does", ["threads", "pool", "program", "process"])
def test_without_it_all_is_followed(workspace: Workspace, does: str) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(DRIVER.format(does))
    assert INNER in outcome.wrote.lines("p", "work.py")
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])


@pytest.mark.parametrize(
    ("kind", "method"),
    [("executor", "spawn"), ("executor", "fork"), ("pool", "spawn"), ("pool", "fork"), ("threads", "fork")],
)
def test_a_pool_that_is_left_out_belongs_to_nobody(workspace: Workspace, kind: str, method: str) -> None:
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        f"""
        import multiprocessing.pool
        import playtrace_agent
        import work

        if __name__ == "__main__":
            pools = work.Pools({kind!r}, {method!r})
            with playtrace_agent.trace("p", "r"):
                pools.call(work.inner)
            with playtrace_agent.trace("q", "r"):
                pools.call(work.other)
            pools.call(work.threads)
            pools.made.shutdown() if {kind!r} == "executor" else (pools.made.close(), pools.made.join())
        """,
        env={"PROFILE_COVERAGE_DISABLE": "multiprocessing"},
    )
    for slug in ("p", "q"):
        lines = outcome.wrote.lines(slug, "work.py")
        assert lines
        assert not {INNER, OTHER, 17, 18, 19} & set(lines)
        judged = judge(workspace, None, slug=slug)
        assert judged.status == "partial"
        assert judged.names("the calls of ", " are not followed"), judged


def test_what_nothing_is_lost_by_is_not_said(workspace: Workspace) -> None:
    workspace.write("work.py", WORK)
    workspace.run(DRIVER.format("threads"), env={"PROFILE_COVERAGE_DISABLE": "multiprocessing,flask"})
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])


def test_imports_are_whoevers_comes_first(workspace: Workspace) -> None:
    workspace.write("late.py", "value = 1\n")
    outcome = workspace.run(
        """
        import playtrace_agent

        with playtrace_agent.trace("p", "r"):
            import late
        """,
        env={"PROFILE_COVERAGE_DISABLE": "imports"},
    )
    assert outcome.wrote.contexts() == {"profile:p": {"late.py": [1]}}
    assert judge(workspace, None).names("credited to whoever imports first")


def test_exit_skips_what_is_not_written(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import os, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            pass
        assert not hasattr(os._exit, "__wrapped__") and hasattr(os.system, "__wrapped__")
        assert os._exit.__module__ == "posix"
        os._exit(3)
        """,
        env={"PROFILE_COVERAGE_DISABLE": "exit"},
        check=False,
    )
    assert outcome.code == 3, outcome.err
    assert judge(workspace, None).names("os._exit() and os.exec*() are lost")


@pytest.mark.parametrize("names", ["fibers", "threads,,fork", "Threads", "all"])
def test_unknown_names_stop_the_start(workspace: Workspace, names: str) -> None:
    outcome = workspace.run(
        "import playtrace_agent.rq\nplaytrace_agent.rq.install()\n",
        env={"PROFILE_COVERAGE_DISABLE": names},
        check=False,
    )
    assert outcome.code == 1
    assert "can't be left out; use some of " in outcome.err.splitlines()[-1]
    assert not workspace.data.exists()


def test_rq_can_be_left_out(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import playtrace_agent.rq, rq
        playtrace_agent.rq.install()
        playtrace_agent.rq.install_queue_if_present()
        print(hasattr(rq.Queue.enqueue_call, "__wrapped__"), hasattr(rq.Worker.perform_job, "__wrapped__"))
        """,
        env={"PROFILE_COVERAGE_DISABLE": "rq"},
        warnings="default",
    )
    assert outcome.out == "False False\n"


def test_the_other_queues_can_be_left_out(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import arq.connections, celery, dramatiq, huey, playtrace_agent
        import playtrace_agent.arq, playtrace_agent.celery, playtrace_agent.dramatiq, playtrace_agent.huey

        FUNCTIONS = [(celery.Celery, "send_task"), (dramatiq.Broker, "emit_before"), (huey.api.Huey, "enqueue"),
                     (arq.connections.ArqRedis, "enqueue_job")]
        before = [getattr(*where) for where in FUNCTIONS]
        for name in ("celery", "dramatiq", "huey", "arq"):
            getattr(playtrace_agent, name).install()
        with playtrace_agent.trace("p", "r"):
            pass
        print([getattr(*where) is found for where, found in zip(FUNCTIONS, before)])
        """,
        env={"PROFILE_COVERAGE_DISABLE": "celery,dramatiq,huey,arq"},
        warnings="default",
    )
    assert outcome.out == "[True, True, True, True]\n"
    judged = judge(workspace, None)
    assert judged.status == "partial"
    for whose in ("Celery's tasks", "Dramatiq's messages", "Huey's tasks", "arq's jobs"):
        assert judged.names(f"{whose} are not followed"), judged
    assert len(judged.reasons) == 4


def test_children_leave_out_the_same() -> None:
    here = settings.load({"PROFILE_COVERAGE_DISABLE": "rq, threads"})
    assert here.disabled == {"rq", "threads"}
    assert settings.load(here.for_child()) == here
