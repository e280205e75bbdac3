"""`playtrace doctor` on the demo's stack: all is well, then one fault after another is planted, found, and mended.

One stack for all. A fault is planted by restarting one part, or by a proxy in front; the part is put right again
whatever happens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import playtrace_agent
import pytest

from tests.meddler import Meddler, Meddling
from tests.support import Ended, options, playtrace

from stack import APP, Stack  # isort: skip
from stack_services import free_port  # isort: skip

NOTHING_CHECKED_BUT_CONFIGURATION = ("--skip", "probe.concurrency")
# Room in the coverage directory, in megabytes: what the file system of its own has, and what the doctor wants.
ROOM, WANTED = 64, 16
_NOBODY = 65534
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


@dataclass(frozen=True)
class Report:
    """What the doctor said."""

    ended: Ended
    checks: Mapping[str, Mapping[str, Any]]

    @property
    def failed(self) -> set[str]:
        """The checks that failed."""
        return {ident for ident, check in self.checks.items() if check["status"] == "failed"}

    def finding(self, ident: str) -> str:
        """Reason and remedy of the one check that failed."""
        assert self.failed == {ident}, self.ended.out
        return self.text(ident)

    def text(self, ident: str) -> str:
        """Reason and remedy."""
        check = self.checks[ident]
        return f"{check['reason']}\n{check.get('remedy', '')}"

    def is_well(self) -> None:
        """Fail, with everything that it said, unless nothing failed and everything was looked at that was asked for."""
        assert self.ended.code == 0, f"{self.ended.out}\n{self.ended.err}"


def doctor(stack: Stack, *arguments: str | Path, **changes: str | None) -> Report:
    """Run it."""
    ended = playtrace(
        stack,
        *("doctor", "--json", "--redis-url", stack.redis_url, "--min-free-mb", str(WANTED)),
        *arguments,
        **changes,
    )
    assert ended.code in (0, 1, 3), f"{ended.out}\n{ended.err}"
    document = json.loads(ended.out)
    report = Report(ended, {check["id"]: check for check in document["checks"]})
    assert ended.code == (1 if report.failed else ended.code)
    return report


def quick(stack: Stack, *arguments: str | Path, **changes: str | None) -> Report:
    """Run it without the concurrency probe."""
    return doctor(stack, *NOTHING_CHECKED_BUT_CONFIGURATION, *arguments, **changes)


@contextmanager
def file_system(directory: Path) -> Iterator[bool]:
    """A small file system of its own for a directory, where this user may mount one; says whether it is."""
    directory.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, bool]]:
    """A stack of two web processes and one worker; and whether its coverage directory has a file system of its own."""
    # The file system is smaller than what an agent leaves free.
    env = {"PROFILE_COVERAGE_MIN_FREE": "0"}
    stack = Stack(options(tmp_path_factory.mktemp("doctor"), workers=2, threads=4, rq_workers=1, env=env))
    with file_system(stack.coverage_dir) as mounted, stack:
        yield stack, mounted


@pytest.fixture
def patient(small: tuple[Stack, bool]) -> Stack:
    """The stack."""
    return small[0]


@contextmanager
def web(stack: Stack, *, env: Mapping[str, str | None] | None = None, app: str | None = None) -> Iterator[None]:
    """Other web processes for a while: with these variables, or with this WSGI app."""
    before = stack.options.web_env, stack.options.web_command
    stack.options.web_env = env or {}
    if app is not None:
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "2", "--threads", "4"]
        stack.options.web_command = [*command, "--bind", "127.0.0.1:{port}", app]
    try:
        stack.restart_web()
        yield
    finally:
        stack.options.web_env, stack.options.web_command = before
        stack.restart_web()


@contextmanager
def worker(stack: Stack, *, env: Mapping[str, str | None] | None = None, code: str | None = None) -> Iterator[None]:
    """Another worker for a while: with these variables, or one that runs this code first."""
    before = stack.options.worker_env, stack.options.worker_command
    stack.options.worker_env = env or {}
    if code is not None:
        stack.options.worker_command = [sys.executable, "-c", code]
    try:
        stack.restart_workers()
        yield
    finally:
        stack.options.worker_env, stack.options.worker_command = before
        stack.restart_workers()


def worker_after(code: str) -> str:
    """A worker that runs this code before it begins."""
    return f"{code}\nfrom weppdemo.worker import main\nmain()\n"


def search_path(*first: Path) -> dict[str, str]:
    """An environment in which Python looks into these directories before the app's."""
    return {"PYTHONPATH": os.pathsep.join([*map(str, first), str(APP)])}


# Health --------------------------------------------------------------------------------------------


def test_a_healthy_stack_is_ok_in_every_respect(patient: Stack) -> None:
    report = doctor(patient)
    assert {check["status"] for check in report.checks.values()} == {"ok"}, report.ended.out
    report.is_well()
    assert len(report.checks) == 26
    assert "keep their lines apart" in report.text("probe.concurrency")
    assert "web processes" in report.text("directory.writable")


def test_it_leaves_nothing_behind(patient: Stack) -> None:
    doctor(patient).is_well()
    # What the processes had not written yet would come now.
    patient.restart_web()
    left = [path for path in patient.coverage_dir.rglob("*") if "playtrace-doctor" in path.name]
    assert left == []


def test_text_is_coloured_on_demand_and_says_three_different_words(patient: Stack) -> None:
    arguments = ("doctor", "--service-url", f"http://127.0.0.1:{free_port()}", "--min-free-mb", str(WANTED))
    plain = playtrace(patient, *arguments, *NOTHING_CHECKED_BUT_CONFIGURATION, REDIS_URL=None)
    assert plain.code == 1
    words = [line.split("  ")[0] for line in plain.out.splitlines() if line and not line.startswith(" ")]
    assert {"ok", "failed", "not checked"} <= set(words)
    assert "\x1b[" not in plain.out
    assert "to do: start it (`playtrace serve" in plain.out
    coloured = playtrace(
        patient, *arguments, *NOTHING_CHECKED_BUT_CONFIGURATION, REDIS_URL=None, PROFILE_PLAYBACK_COLOR="1"
    )
    assert "\x1b[" in coloured.out


def test_what_is_not_checked_is_not_ok(patient: Stack) -> None:
    report = quick(patient, PROFILE_PLAYBACK_BASE_URL=None)
    assert report.ended.code == 3
    assert "--base-url" in report.text("app.reachable")
    assert report.checks["web.toggle"]["status"] == "not checked"


# In front of the app -------------------------------------------------------------------------------


def test_a_header_that_a_proxy_drops(patient: Stack) -> None:
    with Meddler(patient.app_url, Meddling(drops={"x-profile-trace"})) as proxy:
        assert "pass X-Profile-Trace" in quick(patient, "--base-url", proxy.url).finding("header.arrives")
        proxy.meddling.drops = {"x-profile-trace-status"}
        assert "X-Profile-Trace-Status" in quick(patient, "--base-url", proxy.url).finding("header.arrives")
        proxy.meddling.drops = set()
        doctor(patient, "--base-url", proxy.url).is_well()


def test_a_proxy_that_drops_the_run_or_the_step_only(patient: Stack) -> None:
    with Meddler(patient.app_url, Meddling()) as proxy:
        for header, look in (("X-Profile-Trace-Run", doctor), ("X-Profile-Trace-Step", quick)):
            proxy.meddling.drops = {header.lower()}
            report = look(patient, "--base-url", proxy.url)
            found = report.finding("header.run")
            assert f"came without {header}" in found
            assert "pass X-Profile-Trace, X-Profile-Trace-Run and X-Profile-Trace-Step on" in found
            if look is doctor:
                assert report.checks["probe.concurrency"]["status"] == "not checked"
                assert "header.run" in report.text("probe.concurrency")
        proxy.meddling.drops = set()
        quick(patient, "--base-url", proxy.url).is_well()
    # Requests without their run are the doctor's, too.
    patient.restart_web()
    assert [path for path in patient.coverage_dir.rglob("*") if "playtrace-doctor" in str(path)] == []


def test_a_redirect_that_strips_the_run_only(patient: Stack) -> None:
    with Meddler(patient.app_url, Meddling(drops_when_redirected={"x-profile-trace-run"})) as proxy:
        found = quick(patient, "--base-url", proxy.url).finding("header.run")
        assert "1 of 10 requests" in found
        proxy.meddling.drops_when_redirected = set()
        quick(patient, "--base-url", proxy.url).is_well()


def test_a_header_that_a_redirect_strips(patient: Stack) -> None:
    with Meddler(patient.app_url, Meddling(drops_when_redirected={"x-profile-trace"})) as proxy:
        found = quick(patient, "--base-url", proxy.url).finding("header.redirects")
        assert "/weppcloud/login" in found
        proxy.meddling.drops_when_redirected = set()
        quick(patient, "--base-url", proxy.url).is_well()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_an_hour_off(patient: Stack, hours: int) -> None:
    with Meddler(patient.app_url, Meddling(clock_ahead=timedelta(hours=hours))) as proxy:
        found = quick(patient, "--base-url", proxy.url).finding("clock.skew")
        assert ("ahead of" if hours > 0 else "behind") in found
        assert "NTP" in found
        proxy.meddling.clock_ahead = timedelta()
        quick(patient, "--base-url", proxy.url).is_well()


def test_a_service_on_another_port(patient: Stack) -> None:
    found = quick(patient, PROFILE_PLAYBACK_URL=f"http://127.0.0.1:{free_port()}").finding("service.reachable")
    assert "PROFILE_PLAYBACK_URL" in found
    # Something else answers there.
    found = quick(patient, "--service-url", patient.app_url).finding("service.reachable")
    assert "not as a playback service" in found
    quick(patient, PROFILE_PLAYBACK_URL=patient.service_url).is_well()


def test_a_wrong_password(patient: Stack) -> None:
    found = quick(patient, ADMIN_PASSWORD="something else").finding("app.login")
    assert "ADMIN_PASSWORD" in found
    assert "something else" not in found
    quick(patient).is_well()


# Web processes -------------------------------------------------------------------------------------


def test_the_toggle_is_off_in_the_web_processes(patient: Stack) -> None:
    with web(patient, env={"ENABLE_PROFILE_COVERAGE": None}):
        assert "ENABLE_PROFILE_COVERAGE=1" in quick(patient).finding("web.toggle")
    quick(patient).is_well()


OLD_APP = """
from weppdemo.wsgi import application
from wepp.middleware import profile_coverage

application.mounts["/weppcloud"].before_request(profile_coverage.start)
"""


def test_the_old_middleware_is_active_too(patient: Stack, tmp_path: Path) -> None:
    (tmp_path / "wepp" / "middleware").mkdir(parents=True)
    (tmp_path / "wepp" / "middleware" / "profile_coverage.py").write_text("def start():\n    return None\n")
    (tmp_path / "old_app.py").write_text(OLD_APP)
    with web(patient, env=search_path(tmp_path), app="old_app:application"):
        assert "wepp.middleware.profile_coverage" in doctor(patient).finding("web.old-middleware")
    quick(patient).is_well()


# Workers -------------------------------------------------------------------------------------------


def test_the_toggle_is_off_in_the_worker(patient: Stack) -> None:
    with worker(patient, env={"ENABLE_PROFILE_COVERAGE": None}):
        assert "ENABLE_PROFILE_COVERAGE=1" in quick(patient).finding("worker.toggle")
    quick(patient).is_well()


def test_the_worker_was_not_restarted(patient: Stack) -> None:
    with worker(patient, env={"ENABLE_PROFILE_COVERAGE": None}):
        patient.restart_web()
        report = quick(patient)
        assert report.failed == {"worker.toggle", "worker.restarted"}, report.ended.out
        assert "restart the worker" in report.text("worker.restarted")
    quick(patient).is_well()


def test_the_rq_hook_is_missing(patient: Stack) -> None:
    with worker(patient, code=worker_after("import playtrace_agent.rq as it\nit.install = lambda: None")):
        assert "playtrace_agent.rq.install()" in quick(patient).finding("rq.hooks")
    quick(patient).is_well()


def test_a_worker_writes_to_another_directory(patient: Stack, tmp_path: Path) -> None:
    with worker(patient, env={"PROFILE_COVERAGE_DIR": str(tmp_path)}):
        found = quick(patient).finding("directory.same")
        assert str(tmp_path) in found
        assert str(patient.coverage_dir) in found
    quick(patient).is_well()


def test_web_processes_write_to_another_directory(patient: Stack, tmp_path: Path) -> None:
    report = quick(patient, "--coverage-dir", tmp_path)
    assert "directory.same" in report.failed, report.ended.out
    quick(patient).is_well()


def test_an_old_agent(patient: Stack) -> None:
    with worker(patient, code=worker_after("import playtrace_agent\nplaytrace_agent.__version__ = '0.0.9'")):
        found = quick(patient).finding("agent.version")
        assert "0.0.9" in found
        assert "pip install playtrace-agent==" in found
    quick(patient).is_well()


def test_an_old_coverage_py_beside_the_worker(patient: Stack, tmp_path: Path) -> None:
    (tmp_path / "coverage").mkdir()
    (tmp_path / "coverage" / "__init__.py").touch()
    (tmp_path / "coverage-6.5.0.dist-info").mkdir()
    with worker(patient, env=search_path(tmp_path)):
        found = quick(patient).finding("coverage.version")
        assert "6.5.0" in found
        assert "playtrace combine" in found
    quick(patient).is_well()


# Workers of other queues ---------------------------------------------------------------------------

TASKS = """
import playtrace_agent
playtrace_agent.__version__ = {release!r}
import playtrace_agent.celery
playtrace_agent.celery.install()
from celery import Celery
app = Celery("tasks", broker={broker!r})
"""


@contextmanager
def celery_worker(stack: Stack, directory: Path) -> Iterator[None]:
    """Run a worker of the tasks in a directory, from when it is ready until the block ends."""
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "--loglevel", "INFO"]
    process = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"],
        env=stack.environment(search_path(directory)),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        # It says more than that until it ends, which fits into the pipe.
        assert any("ready." in line for line in process.stdout), "it ended"
        yield
    finally:
        process.terminate()
        process.communicate()


def test_tasks_of_celery_without_a_worker_and_a_worker_without_tasks(patient: Stack, tmp_path: Path) -> None:
    tasks = TASKS.format(release=playtrace_agent.__version__, broker=patient.redis_url)
    (tmp_path / "tasks.py").write_text(tasks)
    (tmp_path / "queue_web.py").write_text("import tasks\nfrom weppdemo.wsgi import application\n")
    with web(patient, env=search_path(tmp_path), app="queue_web:application"):
        found = quick(patient).finding("queue.workers")
        assert "no running Celery worker has left a boot record" in found
        assert "celery -A app worker" in found
        with celery_worker(patient, tmp_path):
            report = quick(patient)
            report.is_well()
            assert "Celery: 1 worker has" in report.text("queue.workers")
        assert "has ended" in quick(patient).finding("queue.workers")
        (tmp_path / "tasks.py").write_text(TASKS.format(release="0.0.9", broker=patient.redis_url))
        with celery_worker(patient, tmp_path):
            assert "worker" in quick(patient).finding("agent.version")
    (tmp_path / "tasks.py").write_text(tasks)
    with celery_worker(patient, tmp_path):
        assert "playtrace_agent.celery.install()" in quick(patient).finding("queue.hooks")
    quick(patient).is_well()


# The directory -------------------------------------------------------------------------------------


def without_override(command: Sequence[str]) -> str:
    """Code that gives up the right to write everywhere, for good, and runs a command."""
    return (
        f"import ctypes, os\nctypes.CDLL(None).prctl({_PR_CAPBSET_DROP}, {_CAP_DAC_OVERRIDE}, 0, 0, 0)\n"
        f"os.execv({command[0]!r}, {list(command)!r})\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_directory_that_the_worker_can_not_write(patient: Stack) -> None:
    """The worker is a root that may write only what is its own or its group's: any user can run this Python then."""
    directories = [patient.coverage_dir, *(path for path in patient.coverage_dir.rglob("*") if path.is_dir())]
    owned = {path: path.stat() for path in directories}
    for path in directories:
        os.chown(path, _NOBODY, _NOBODY)
        path.chmod(0o755)
    try:
        with worker(patient, code=without_override([sys.executable, "-m", "weppdemo.worker"])):
            found = quick(patient).finding("directory.writable")
            assert "chgrp" in found
            assert f"({_NOBODY})" in found
            remedy = found.split("(chgrp", 1)[1].rsplit(")", 1)[0]
            subprocess.run(["sh", "-c", f"chgrp {remedy.replace('GROUP', str(os.getegid()))}"], check=True)
            patient.restart_workers()
            quick(patient).is_well()
    finally:
        for path, stat in owned.items():
            with suppress(FileNotFoundError):
                os.chown(path, stat.st_uid, stat.st_gid)
                path.chmod(stat.st_mode)
    quick(patient).is_well()


def test_a_disk_that_is_nearly_full(small: tuple[Stack, bool]) -> None:
    stack, mounted = small
    if not mounted:
        assert "--min-free-mb" in quick(stack, "--min-free-mb", str(10**9)).finding("disk.space")
        return
    filler = stack.coverage_dir / "filler"
    try:
        filler.write_bytes(bytes((ROOM - WANTED // 2) << 20))
        assert "make room" in quick(stack).finding("disk.space")
    finally:
        filler.unlink()
    quick(stack).is_well()


ORPHAN = """
import coverage, os
data = coverage.CoverageData(basename="ghost.coverage", suffix=True)
data.add_lines({os.path.abspath("x.py"): [1, 2]})
data.write()
"""


def test_a_shard_of_a_dead_process(patient: Stack) -> None:
    subprocess.run([sys.executable, "-c", ORPHAN], cwd=patient.coverage_dir, check=True)
    found = quick(patient).finding("shards.orphans")
    command = found.split("(`", 1)[1].split("`)", 1)[0].split()
    assert command[:2] == ["playtrace", "combine"]
    playtrace(patient, *command[1:]).expect(0)
    quick(patient).is_well()


# Last: whoever used Redis has to be restarted.
def test_redis_is_gone(patient: Stack) -> None:
    patient.stop_one("redis")
    try:
        assert "start Redis" in quick(patient).finding("redis.reachable")
    finally:
        patient.start_redis()
        patient.restart_workers()
    doctor(patient).is_well()
