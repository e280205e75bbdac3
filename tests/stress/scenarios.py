"""One scenario: start the real server, send the load, stop it, compare."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.oracle import surroundings
from tests.stress import check, leaves, load, plan, reference, support, worker
from tests.stress.reference import Expected

from stack_services import Service, free_port, redis_command, wait_until  # isort: skip

_START_SECONDS = 60.0
_END_SECONDS = 900.0
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Scenario:
    """What runs, and what is sent to it."""

    name: str
    # gunicorn's options, or uvicorn's, or the kind of RQ worker, or the options of Celery's.
    gunicorn: tuple[str, ...] = ()
    uvicorn: tuple[str, ...] = ()
    rq: str = ""
    celery: tuple[str, ...] = ()
    workers: int = 0
    only: tuple[str, ...] = ()
    among: tuple[str, ...] = plan.FEATURES
    alone: int = plan.ALONE
    granularity: str = "profile"
    # How many requests make it a stress, and how many a test.
    requests: int = 20_000
    short: int = 300
    # Whether requests overlap within a process, too.
    threads: bool = False
    # The load of `processes.py`, whose requests do what they do in other processes.
    processes: bool = False

    @property
    def as_jobs(self) -> bool:
        """Whether its requests do what jobs do: no Flask is in between."""
        return bool(self.rq or self.celery or self.uvicorn)


SYNC = Scenario("gunicorn-sync", gunicorn=("--worker-class", "sync", "--workers", "4"))
GTHREAD = Scenario(
    "gunicorn-gthread", gunicorn=("--worker-class", "gthread", "--workers", "2", "--threads", "5"), threads=True
)
UVICORN = Scenario("uvicorn", uvicorn=("--workers", "2"), threads=True)
GEVENT = Scenario(
    "gevent",
    gunicorn=("--worker-class", "gevent", "--workers", "2"),
    threads=True,
    among=plan.GREEN,
    short=150,
)
FORKING = Scenario("rq-forking", rq="work", workers=4, short=80)
SIMPLE = Scenario("rq-simple", rq="simple", workers=3, short=150)
CELERY = Scenario("celery", celery=("--pool", "prefork", "--concurrency", "4"), workers=1, requests=2_000, short=80)
SCENARIOS = (SYNC, GTHREAD, UVICORN, GEVENT, FORKING, SIMPLE)
# `make test` has other tests of these.
QUEUES = (CELERY,)
# The same where the functions that each request enters are recorded besides, and where each request has a context of
# its own; left out where the agent does not do it.
BY_STEP = replace(GTHREAD, name="gunicorn-gthread-steps", granularity="steps")
BY_REQUEST = replace(GTHREAD, name="gunicorn-gthread-request", granularity="request")
FINER = (BY_STEP, BY_REQUEST)
# Its short form is the agent's `test_process_load.py`.
PROCESSES = Scenario("processes", requests=2_000, threads=True, processes=True)


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    python: str
    counts: check.Counts
    # Requests that overlapped another one in the same process.
    within: int
    seconds: float

    @property
    def line(self) -> str:
        """The line that people look for."""
        return f"{self.scenario.name} ({self.python}): {self.counts}"

    @property
    def clean(self) -> bool:
        """Whether every line is where it belongs."""
        return self.counts.wrong == 0 and self.counts.lost == 0


class Stress:
    """A Python with the agent, a measured package, and what is known about it."""

    def __init__(self, out: Path, python: str, redis_server: Path, version: str) -> None:
        self.out = out
        self.python = python
        self.version = version
        self.redis_server = redis_server
        self.measured = leaves.write(out / "measured")
        self._known: dict[tuple[plan.Work, bool], Expected] = {}

    def environment(self, **more: str) -> dict[str, str]:
        """What its processes are started with; the agent is off unless `more` says otherwise."""
        foreign = ("PROFILE_", "ENABLE_PROFILE_COVERAGE", "STRESS_", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.measured.root}{os.pathsep}{surroundings.REPOSITORY}"
        return {**env, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def know(self, requests: Sequence[plan.Request], *, as_jobs: bool) -> dict[plan.Work, Expected]:
        """Return the lines of these requests; what is not known yet is tried."""
        kinds = {request.work for request in requests}
        if new := [work for work in kinds if (work, as_jobs) not in self._known]:
            found = reference.find(self.python, self.environment(), new, as_jobs=as_jobs)
            self._known |= {(work, as_jobs): lines for work, lines in found.items()}
        return {work: self._known[work, as_jobs] for work in kinds}

    def run(self, scenario: Scenario, count: int) -> Outcome:
        """Run a scenario with so many requests.

        Raises:
            Exception: It could not be found out whether lines are wrong or lost.
        """
        began = time.monotonic()
        requests = plan.requests(count, scenario.only, scenario.alone, scenario.among)
        known = self.know(requests, as_jobs=scenario.as_jobs)
        out = self.out / scenario.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        records = out / "records"
        env = self.environment(
            ENABLE_PROFILE_COVERAGE="1",
            PROFILE_COVERAGE_DIR=str(out / "coverage"),
            PROFILE_COVERAGE_CONFIG=str(self.measured.root / "coverage.profile-playback.ini"),
            PROFILE_COVERAGE_GRANULARITY=scenario.granularity,
            **{support.RECORDS: str(records)},
        )
        run = self._jobs if scenario.rq or scenario.celery else self._requests
        answers = run(scenario, requests, out, env, records)
        served = {record.number: record for record in check.read_records(records)}
        if len(served) != count:
            raise load.LoadError(f"{scenario.name}: {len(served)} of {count} requests left a record")
        for request in requests:
            answer = answers.get(request.number, served[request.number].answer)
            if answer != known[request.work].answer:
                raise load.LoadError(f"{request}: answered {answer!r}, not {known[request.work].answer!r}")
        compare = check.by_request if scenario.granularity == "request" else check.by_profile
        counts = compare(check.read_shards(out / "coverage"), requests, served, known, self.measured)
        within = check.within_processes(list(served.values()))
        # Thousands of shards; what they said is counted.
        shutil.rmtree(out / "coverage")
        return Outcome(scenario, self.version, counts, within, time.monotonic() - began)

    def _requests(
        self, scenario: Scenario, requests: Sequence[plan.Request], out: Path, env: dict[str, str], _records: Path
    ) -> dict[int, str]:
        port = free_port()
        name = "uvicorn" if scenario.uvicorn else "gunicorn"
        if scenario.uvicorn:
            options = [*scenario.uvicorn, "--port", str(port), "--timeout-keep-alive", "300", "--backlog", "512"]
            options += ["--log-level", "warning", "--factory", "tests.stress.asgi_app:create"]
        else:
            options = [*scenario.gunicorn, "--bind", f"127.0.0.1:{port}", "--timeout", "300", "--backlog", "512"]
            options += ["tests.stress.app:create()"]
        argv = [self.python, "-m", name, *options]
        with _running([Service(name, argv, out, env, out / f"{name}.log")]) as services:
            wait_until(lambda: _answers(port), name, services, _START_SECONDS)
            return load.send(port, requests)

    def _jobs(
        self, scenario: Scenario, requests: Sequence[plan.Request], out: Path, env: dict[str, str], records: Path
    ) -> dict[int, str]:
        port = free_port()
        env |= {worker.PORT: str(port)}
        argv = [str(self.redis_server), "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        jobs = out / "jobs"
        lines = [json.dumps([request.slug, request.query]) for request in requests]
        jobs.write_text("\n".join(lines) + "\n", encoding="utf-8")
        module = [self.python, "-m", "tests.stress.worker"]
        work, enqueue = [*module, scenario.rq], [*module, "enqueue", str(jobs)]
        if scenario.celery:
            options = [*scenario.celery, "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
            work = [self.python, "-m", "celery", "-A", "tests.stress.tasks", "worker", *options]
            enqueue = [self.python, "-m", "tests.stress.tasks", str(jobs)]
        with _running([Service("redis", argv, out, env, out / "redis.log")]) as redis:
            wait_until(lambda: redis_command(port, "PING") == "+PONG", "redis", redis, _START_SECONDS)
            names = [f"worker-{number}" for number in range(scenario.workers)]
            workers = [Service(name, work, out, env, out / f"{name}.log") for name in names]
            with _running(workers):
                subprocess.run(enqueue, env=env, cwd=out, check=True, timeout=_END_SECONDS)

                def done() -> bool:
                    if redis_command(port, "ZCARD", f"rq:failed:{worker.QUEUE}") != ":0":
                        raise load.LoadError(f"a job failed; the end of a log:\n{workers[0].tail()}")
                    return records.exists() and records.read_bytes().count(b"\n") >= len(requests)

                wait_until(done, "the jobs' end", workers, _END_SECONDS)
        return {}


@contextmanager
def _running(services: list[Service]) -> Iterator[list[Service]]:
    try:
        for service in services:
            service.start()
        yield services
        for service in services:
            service.check()
    finally:
        for service in services:
            service.stop(_GRACE_SECONDS)
    for service in services:
        if "Traceback" in service.tail(10_000):
            raise load.LoadError(f"{service.name} failed:\n{service.tail()}")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
