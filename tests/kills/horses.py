"""RQ's work horses are killed in the middle of their jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
            yield Horses(bench, [redis, rq], port, enqueuer)
            rq.check()
        finally:
            if enqueuer.stdin:
                enqueuer.stdin.close()
            rq.stop(GRACE_SECONDS)
            redis.stop(GRACE_SECONDS)


class Horses:
    """Rounds of jobs, each with a kill."""

    def __init__(self, bench: Bench, services: list[Service], port: int, enqueuer: subprocess.Popen[str]) -> None:
        self.bench = bench
        self.services = services
        self.port = port
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
        wait_until(lambda: not children_of(rq.pid) and self._idle(), "the jobs' end", self.services, _JOBS_SECONDS)
        for work in works:
            now = bench.page.look(work.number)
            if not now.ended and now.pid != killed:
                raise KillsError(f"{work.unit} did not end, and its horse {now.pid} was not killed: {rq.tail()}")
        # A job that another horse did is over when its horse is.
        done = {work.number for work in works if bench.page.look(work.number).pid != killed}
        bench.compare(killed, [Work(*_fields(work), work.number in done, promised=True) for work in works])

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
        return Work(number, (slug, token), names, f"job {job}", answered=False)

    def _idle(self) -> bool:
        keys = (("LLEN", f"rq:queue:{worker.QUEUE}"), ("ZCARD", f"rq:wip:{worker.QUEUE}"))
        return all(redis_command(self.port, *key) == ":0" for key in keys)


def _fields(work: Work) -> tuple[int, tuple[str, str], tuple[str, ...], str]:
    return work.number, work.run, work.names, work.unit
