"""One scenario: start the real server, send the load, stop it, compare."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import surroundings
from tests.stress import check, jobs, leaves, load, plan, reference, support, verdicts
from tests.stress.catalog import Scenario, Way
from tests.stress.reference import Expected

from stack_services import Service, free_port, redis_command, wait_until  # isort: skip

_START_SECONDS = 300.0
_END_SECONDS = 900.0
_GRACE_SECONDS = 60.0
_NO_LIMIT = "0"


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    python: str
    counts: check.Counts
    # Requests that overlapped another one in the same process.
    within: int
    seconds: float
    # `None` where they are not asked for.
    verdicts: verdicts.Verdicts | None = None

    @property
    def line(self) -> str:
        """The line that people look for."""
        return f"{self.scenario.name} ({self.python}): {self.counts}"

    @property
    def clean(self) -> bool:
        """Whether every line is where it belongs, and every verdict says so."""
        return self.counts.wrong == self.counts.lost == 0 and not (self.verdicts and self.verdicts.incomplete)


class Stress:
    """A Python with the agent, a measured package, and what is known about it."""

    def __init__(
        self, out: Path, python: str, redis_server: Path, version: str, *, most_verdicts: int | None = None
    ) -> None:
        self.out = out
        self.most_verdicts = most_verdicts
        self.python = python
        self.version = version
        self.redis_server = redis_server
        self.measured = leaves.write(out / "measured")
        self._known: dict[tuple[plan.Work, Way], Expected] = {}

    def environment(self, **more: str) -> dict[str, str]:
        """What its processes are started with; the agent is off unless `more` says otherwise."""
        foreign = ("PROFILE_", "ENABLE_PROFILE_COVERAGE", "STRESS_", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.measured.root}{os.pathsep}{surroundings.REPOSITORY}"
        return {**env, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def know(self, requests: Sequence[plan.Request], way: Way) -> dict[plan.Work, Expected]:
        """Return the lines of these requests; what is not known yet is tried."""
        kinds = {request.work for request in requests}
        if new := [work for work in kinds if (work, way) not in self._known]:
            found = reference.find(self.python, self.environment(), new, way)
            self._known |= {(work, way): lines for work, lines in found.items()}
        return {work: self._known[work, way] for work in kinds}

    def run(self, scenario: Scenario, count: int, *, mutant: bool = False) -> Outcome:
        """Run a scenario with so many requests; a mutant may say of a request that it was not traced.

        Raises:
            Exception: It could not be found out whether lines are wrong or lost.
        """
        began = time.monotonic()
        requests = plan.requests(count, scenario.only, scenario.alone, scenario.among)
        known = self.know(requests, scenario.way)
        out = self.out / scenario.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        records = out / "records"
        env = self.environment(
            ENABLE_PROFILE_COVERAGE="1",
            PROFILE_COVERAGE_DIR=str(out / "coverage"),
            PROFILE_COVERAGE_CONFIG=str(self.measured.root / "coverage.profile-playback.ini"),
            PROFILE_COVERAGE_GRANULARITY=scenario.granularity,
            # Thousands of runs whose player writes no record there are what its limits are made against.
            PROFILE_COVERAGE_MAX_RUNS=_NO_LIMIT,
            PROFILE_COVERAGE_MAX_FILES=_NO_LIMIT,
            **{support.RECORDS: str(records)},
        )
        if scenario.queue:
            answers = self._jobs(scenario, requests, out, env, records)
        else:
            answers = self._requests(scenario, requests, out, env, statuses=not mutant)
        served = {record.number: record for record in check.read_records(records)}
        if len(served) != count:
            raise load.LoadError(f"{scenario.name}: {len(served)} of {count} requests left a record")
        for request in requests:
            answer = answers.get(request.number, served[request.number].answer)
            if answer != known[request.work].answer:
                raise load.LoadError(f"{request}: answered {answer!r}, not {known[request.work].answer!r}")
        compare = check.by_request if scenario.granularity == "request" else check.by_profile
        shards = check.read_shards(out / "coverage")
        counts = compare(check.together(shards), requests, served, known, self.measured)
        within = check.within_processes(list(served.values()))
        judged = None
        if scenario.judged:
            runs = verdicts.runs(requests, known, jobs=bool(scenario.queue))
            judged = verdicts.judge(surroundings.program(), out / "coverage", shards, runs, self.most_verdicts)
        # Thousands of shards; what they said is counted.
        shutil.rmtree(out / "coverage")
        shutil.rmtree(out / "judged", ignore_errors=True)
        return Outcome(scenario, self.version, counts, within, time.monotonic() - began, judged)

    def service(self, scenario: Scenario, name: str, out: Path, env: dict[str, str], port: int) -> _Service:
        """Return a server, or a queue's worker, to be started."""
        beside = Path(self.python).parent
        meant = {"PORT": str(port), "PREFIX": str(beside.parent), "NAME": name}
        words = [re.sub("|".join(meant), lambda found: meant[found[0]], word) for word in scenario.command]
        argv = [str(beside / words[0]), *words[1:]] if scenario.program else [self.python, "-m", *words]
        service = _Service(name, argv, out, env, out / f"{name}.log")
        service.end = scenario.end
        return service

    def _requests(
        self, scenario: Scenario, requests: Sequence[plan.Request], out: Path, env: dict[str, str], *, statuses: bool
    ) -> dict[int, str]:
        port = free_port()
        with _running([self.service(scenario, scenario.name, out, env, port)]) as services:
            wait_until(lambda: _answers(port), scenario.name, services, _START_SECONDS)
            return load.send(port, requests, statuses=statuses)

    def _jobs(
        self, scenario: Scenario, requests: Sequence[plan.Request], out: Path, env: dict[str, str], records: Path
    ) -> dict[int, str]:
        port = free_port()
        env |= {jobs.PORT: str(port)}
        argv = [str(self.redis_server), "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        file = out / "jobs"
        lines = [json.dumps([request.slug, request.query]) for request in requests]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        send = [self.python, "-m", "tests.stress.queues.send", scenario.queue, str(file)]
        with _running([_Service("redis", argv, out, env, out / "redis.log")]) as redis:
            wait_until(lambda: redis_command(port, "PING") == "+PONG", "redis", redis, _START_SECONDS)
            names = [f"worker-{number}" for number in range(scenario.workers)]
            workers = [self.service(scenario, name, out, env, port) for name in names]
            with _running(workers):
                subprocess.run(send, env=env, cwd=out, check=True, timeout=_END_SECONDS)

                def done() -> bool:
                    found = records.read_bytes() if records.exists() else b""
                    failed = redis_command(port, "ZCARD", f"rq:failed:{jobs.RQ_QUEUE}") != ":0"
                    if failed or b" failed\n" in found:
                        raise load.LoadError(f"a job failed; the end of a log:\n{workers[0].tail()}")
                    return found.count(b"\n") >= len(requests)

                wait_until(done, "the jobs' end", workers, _END_SECONDS)
        return {}


class _Service(Service):
    """A process that may have a signal of its own to end by."""

    end = signal.SIGTERM

    def stop(self, grace: float) -> None:
        if self.process is not None and self.alive:
            self.process.send_signal(self.end)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                raise load.LoadError(f"{self.name} does not end:\n{self.tail()}") from None
            finally:
                super().stop(grace)


@contextmanager
def _running(services: list[_Service]) -> Iterator[list[_Service]]:
    try:
        for service in services:
            service.start()
        yield services
        for service in services:
            service.check()
    finally:
        # Each, also where one does not end.
        with ExitStack() as ends:
            for service in reversed(services):
                ends.callback(service.stop, _GRACE_SECONDS)
    for service in services:
        if "Traceback" in service.tail(10_000):
            raise load.LoadError(f"{service.name} failed:\n{service.tail()}")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
