"""RQ's work horses are killed in the middle of their jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.kills import moments, worker
from tests.kills.check import Work
from tests.kills.scenarios import GRACE_SECONDS, START_SECONDS, Bench, KillsError
from tests.oracle import surroundings

from stack_services import Service, children_of, free_port, redis_command, wait_until  # isort: skip

_JOBS_SECONDS = 120.0


@contextmanager
def running(bench: Bench) -> Iterator[Horses]:
    """Run a Redis, a worker, and a process that enqueues."""
    port = free_port()
    server = str(surroundings.redis_server())
    redis = bench.service("redis", [server, "--port", str(port), "--save", "", "--appendonly", "no"])
    module = [bench.python, "-m", "tests.kills.worker"]
    variables = {worker.PORT: str(port)}
    rq = bench.service("worker", [*module, "work"], **variables)
    with subprocess.Popen(
        [*module, "enqueue"],
        cwd=bench.out,
        env=bench.environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    ) as enqueuer:
        try:
            redis.start()
            wait_until(lambda: redis_command(port, "PING") == "+PONG", "redis", [redis], START_SECONDS)
            rq.start()
            yield Horses(bench, [redis, rq], enqueuer)
            rq.check()
        finally:
            if enqueuer.stdin:
                enqueuer.stdin.close()
            rq.stop(GRACE_SECONDS)
            redis.stop(GRACE_SECONDS)


class Horses:
    """Rounds of jobs, each with a kill."""

    def __init__(self, bench: Bench, services: list[Service], enqueuer: subprocess.Popen[str]) -> None:
        self.bench = bench
        self.services = services
        self.enqueuer = enqueuer

    def kill(self) -> None:
        """Enqueue jobs, kill the work horse of one of them, and compare when the others have ended."""
        bench = self.bench
        _, rq = self.services
        works = [self._enqueue(*run) for run in bench.runs()]
        watched = bench.rng.choice(works)
        killed = bench.draw(watched).wait(bench.page, bench.measured, watched.names, rq.check)
        # Where the horse has ended by itself since, the worker may have another one, which is let be.
        if killed in children_of(rq.pid):
            moments.kill(killed)
        # What is between the queue and a horse is nowhere to be seen: only the jobs themselves say when they are over.
        wait_until(
            lambda: all(self._over(work, killed) for work in works) and not children_of(rq.pid),
            "the jobs' end",
            self.services,
            _JOBS_SECONDS,
        )
        # A job that another horse did is over when its horse is.
        done = [bench.page.look(work.number).pid != killed for work in works]
        bench.compare(killed, [replace(work, answered=over) for work, over in zip(works, done, strict=True)])

    def _enqueue(self, slug: str, token: str) -> Work:
        bench = self.bench
        long = bench.rng.random() < 0.6
        names = bench.functions("long", bench.rng.randrange(1, 4)) if long else bench.functions("short", 3)
        number = bench.number()
        if self.enqueuer.stdin is None or self.enqueuer.stdout is None:
            raise KillsError("the enqueuing process has no pipes")
        self.enqueuer.stdin.write(json.dumps([slug, token, number, names]) + "\n")
        self.enqueuer.stdin.flush()
        job = self.enqueuer.stdout.readline().strip()
        if not job:
            raise KillsError("the enqueuing process has ended")
        return Work(number, (slug, token), names, f"job {job}", answered=False, promised=True)

    def _over(self, work: Work, killed: int) -> bool:
        now = self.bench.page.look(work.number)
        return now.ended or now.pid == killed
