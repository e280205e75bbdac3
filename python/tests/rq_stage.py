"""A Redis, workers, and what is left of them, for the tests of RQ. The tests play the player's part in the ledger."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from ports import free_port
from rq.command import send_stop_job_command
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq_cases import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from conftest import Workspace
    from rq_cases import Done
    from scenario import Lines

HERE = Path(__file__).parent
RUN = "r1"
TRACE_KEYS = {"profile_trace_slug", "profile_trace_run"}


def needed(variable: str, what: str) -> str:
    """Return a program that the environment names."""
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} must name {what} for the tests of jobs", pytrace=False)
    return value


def wait(ready: Callable[[], bool], saying: Callable[[], object] = lambda: "", seconds: float = 60) -> None:
    """Wait until something is so; ``saying`` is asked how it is when it never comes."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited for {seconds} s in vain: {saying()}"
        time.sleep(0.05)


def serve(directory: Path) -> Iterator[str]:
    """Run a Redis of our own; yields its URL."""
    server = needed("PLAYTRACE_TEST_REDIS_SERVER", "a redis-server")
    port = free_port()
    process = subprocess.Popen(
        [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with redis.Redis.from_url(url) as connection:
                return bool(connection.ping())
        except redis.ConnectionError:
            return False

    wait(answers)
    yield url
    process.terminate()
    process.wait()


def tagged(tags: str) -> list[int]:
    """Return the lines of the app's jobs that are tagged with any of these words, but not with one after a ``-``."""
    wanted = {tag for tag in tags.split() if not tag.startswith("-")}
    unwanted = {tag[1:] for tag in tags.split()} - wanted
    found = []
    for number, line in enumerate((HERE / "rq_app.py").read_text().splitlines(), 1):
        tag = re.search(r"# \[(.+)\]$", line)
        if tag and wanted & set(tag[1].split()) and not unwanted & set(tag[1].split()):
            found.append(number)
    return found


@dataclass(frozen=True)
class Seen:
    """What the app sees of a job."""

    status: str
    result: Any
    error: str
    meta: dict[str, Any]
    executions: int
    called: str


class Stage:
    """A workspace with the app's jobs, and an empty Redis."""

    def __init__(self, workspace: Workspace, url: str) -> None:
        self.workspace, self.url = workspace, url
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self._bytes = redis.Redis.from_url(url)
        self.redis.flushdb()
        self.cases: list[str] = []
        self._expected: dict[str, Done] = {}
        self._contexts: dict[str, Lines] | None = None
        workspace.write(
            "coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit =\n    rq_*.py\n    driver*.py\n"
        )
        shutil.copy(HERE / "rq_app.py", workspace.app / "jobs.py")
        for name in ("rq_cases.py", "rq_driver.py"):
            shutil.copy(HERE / name, workspace.app / name)
        workspace.write("tool.py", 'name = "tool"\nprint(name)\n')

    def close(self) -> None:
        """Let Redis go."""
        self.redis.close()
        self._bytes.close()

    def command(self, *words: str) -> list[str]:
        """Return the command line of the driver."""
        return [sys.executable, str(self.workspace.app / "rq_driver.py"), words[0], self.url, *words[1:]]

    def enqueue(self, cases: Sequence[str], env: dict[str, str | None] | None = None) -> None:
        """Enqueue cases, each in a run of its own whose player promises no requests."""
        self.cases = list(cases)
        self._expected = {
            f"{name}-{who}{ending}": done
            for name in cases
            for who in ("traced", "twin")
            for ending, done in BY_NAME[name].jobs.items()
        }
        for slug in cases:
            self.play(
                slug,
                {
                    "t": "manifest",
                    "version": 1,
                    "profile": slug,
                    "run": RUN,
                    "steps": 0,
                    "base_url": "-",
                    "command": "-",
                },
            )
        done = subprocess.run(
            self.command("enqueue", *cases),
            env=self.workspace.environment(env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def undone(self) -> list[tuple[str, str, int]]:
        """Return the jobs that are not what their cases say yet: id, status, number of executions."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for job in self._expected:
                pipeline.hget(f"rq:job:{job}", "status")
                pipeline.get(f"executions:{job}")
            answers = pipeline.execute()
        return [
            (job, status, int(executions or 0))
            for (job, done), status, executions in zip(self._expected.items(), answers[::2], answers[1::2], strict=True)
            if status != done.status or int(executions or 0) < done.executions
        ]

    def done(self) -> bool:
        """Say whether all jobs are what their cases say."""
        return not self.undone()

    def worker(self, kind: str, *mode: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a worker."""
        return subprocess.Popen(
            self.command("work", kind, *mode),
            env=self.workspace.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )

    def work(self, kind: str, patience: float) -> None:
        """Let a worker with a scheduler run until the cases are done, then ask it to end, and wait until it has.

        ``patience`` is in seconds.
        """
        with self.worker(kind) as worker:
            try:
                wait(lambda: self.done() or worker.poll() is not None, self.undone, seconds=patience)
                assert worker.poll() is None, worker.communicate()[1]
                worker.send_signal(signal.SIGTERM)
                worker.communicate(timeout=60)
            except BaseException:
                worker.kill()
                raise

    def play(self, slug: str, *records: dict[str, Any]) -> None:
        """Write what a player writes."""
        directory = self.workspace.data / ".playtrace" / slug / RUN
        directory.mkdir(parents=True, exist_ok=True)
        start = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        host = socket.gethostname()
        path = directory / f"{host}.{os.getpid()}.{start}.ledger"
        process = {"host": host, "pid": os.getpid(), "start": start}
        boot = {
            "t": "boot",
            "version": 1,
            "process": process,
            "ppid": os.getppid(),
            "role": "player",
            "program": "test",
        }
        with path.open("ab") as file:
            for record in records if path.stat().st_size else (boot, *records):
                text = json.dumps({"at": int(time.time() * 1000), **record}).encode()
                file.write(b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text))

    def pid(self, job: str) -> int:
        """Wait until a job has come to its gate; return its process."""
        wait(lambda: bool(self.redis.exists(f"pid:{job}")), lambda: self.seen(job))
        return int(self._text(self.redis.get(f"pid:{job}")))

    def stop(self, job: str) -> None:
        """Stop a job as an operator does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            send_stop_job_command(self._bytes, job)

    def judge(self, slug: str) -> tuple[str, list[str]]:
        """End the run as its player does, merge it, and return its verdict and the reasons."""
        for job in {record["job"] for record in self.workspace.look().of_kind(slug, "enqueue", RUN)}:
            state = self.status(job)
            if state in ("finished", "failed", "stopped", "canceled"):
                self.play(slug, {"t": "job", "job": job, "state": state, "worker": "w1"})
        self.play(slug, {"t": "end", "outcome": "passed"})
        program = needed("PLAYTRACE_TEST_PROGRAM", "the program playtrace")
        command = [program, "combine", "--keep", "--profile", slug, "--run", RUN, str(self.workspace.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        try:
            # The code is the verdict's: 0 is complete.
            _, _, verdict = done.stdout.partition("Verdict: ")
            status, *reasons = verdict.splitlines()
        except ValueError:
            pytest.fail(f"combine ended with {done.returncode}: {done.stdout}{done.stderr}")
        return status, sorted(reason.removeprefix("  - ") for reason in reasons if not reason.startswith("  note:"))

    def contexts(self) -> dict[str, Lines]:
        """Return all lines by context and file; read once, when all processes have ended."""
        if self._contexts is None:
            self._contexts = self.workspace.look().contexts()
        return self._contexts

    def executions(self, job: str) -> int:
        """Return how often a job was performed, by the app's own count."""
        return int(self._text(self.redis.get(f"executions:{job}")) or 0)

    def status(self, job: str) -> str:
        """Return a job's status."""
        return self._text(self.redis.hget(f"rq:job:{job}", "status"))

    def seen(self, job: str) -> Seen:
        """Return what the app sees of a job."""
        with warnings.catch_warnings():
            # RQ 1.16 has some of its own on Python 3.12.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                fetched = Job.fetch(job, connection=self._bytes)
            except NoSuchJobError:
                pytest.fail(f"job {job} is not in Redis")
            latest, result = fetched.latest_result(), fetched.return_value()
        return Seen(
            status=self.status(job),
            result=result,
            error=(latest.exc_string or "") if latest else "",
            meta={key: value for key, value in fetched.meta.items() if key not in TRACE_KEYS},
            executions=self.executions(job),
            called=self._text(self.redis.get(f"called:{job}")),
        )

    @staticmethod
    def _text(answer: object) -> str:
        """Return what Redis answers; its client's types are those of its asynchronous twin too."""
        return str(answer) if answer is not None else ""

    def units(self, slug: str) -> dict[str, int]:
        """Return how many units each job of a profile has."""
        counted: dict[str, int] = {}
        for record in self.workspace.look().of_kind(slug, "open", RUN):
            if record["kind"] == "job":
                counted[record["job"]] = counted.get(record["job"], 0) + 1
        return counted
