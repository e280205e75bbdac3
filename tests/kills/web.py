"""Web processes of a real gunicorn are killed while they serve traced requests of several runs."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from tests.kills import moments
from tests.kills.check import Run, Work
from tests.kills.scenarios import GRACE_SECONDS, START_SECONDS, Bench, KillsError

from stack_services import Service, children_of, free_port, wait_until  # isort: skip

_TIMEOUT = 120.0
# How often the next request may reach a process that was there before, until a new one must have had its turn.
_TRIES = 400


@contextmanager
def running(bench: Bench) -> Iterator[Web]:
    """Run gunicorn."""
    port = free_port()
    options = [*bench.scenario.gunicorn, "--bind", f"127.0.0.1:{port}", "--timeout", "300", "--log-level", "warning"]
    argv = [bench.python, "-m", "gunicorn", *options, "tests.kills.app:create()"]
    gunicorn = bench.service("gunicorn", argv)
    try:
        gunicorn.start()
        wait_until(lambda: _get(port, "/ready", {}) == "done", "gunicorn", [gunicorn], START_SECONDS)
        yield Web(bench, gunicorn, port)
        gunicorn.check()
    finally:
        gunicorn.stop(GRACE_SECONDS)
    if "Traceback" in gunicorn.tail(10_000):
        raise KillsError(f"gunicorn failed:\n{gunicorn.tail()}")


class Web:
    """Rounds of requests, each with a kill."""

    def __init__(self, bench: Bench, gunicorn: Service, port: int) -> None:
        self.bench = bench
        self.gunicorn = gunicorn
        self.port = port

    def kill(self) -> None:
        """Send requests, kill the process that serves one of them, and compare."""
        bench, runs = self.bench, self.bench.runs()
        # Others come before it and after it.
        count, chosen = bench.rng.randrange(12, 30), bench.rng.randrange(2, 12)
        long = bench.rng.random() < 0.5
        works = [self._work(runs[index % len(runs)], long=long and index == chosen) for index in range(count)]
        watched = works[chosen]
        moment = bench.draw(watched)
        answers: set[int] = set()
        waiting = deque(works)
        clients = [threading.Thread(target=self._send, args=(waiting, answers)) for _ in range(bench.scenario.clients)]
        for client in clients:
            client.start()
        killed = moment.wait(bench.page, bench.measured, watched.names, self.gunicorn.check)
        before = set(children_of(self.gunicorn.pid))
        if killed not in before:
            raise KillsError(f"{watched.unit} was served by {killed}, which is none of gunicorn's {sorted(before)}")
        moments.kill(killed)
        for client in clients:
            client.join()
        works = [replace(work, answered=work.number in answers) for work in works]
        for work in works:
            server = bench.page.look(work.number).pid
            if not work.answered and server not in (0, killed):
                raise KillsError(f"{work.unit} got no answer from {server}; {killed} was killed")
        bench.compare(killed, [*works, *self._next(runs[0], before)])

    def _next(self, run: Run, before: set[int]) -> list[Work]:
        """Send requests until one is served by a process that was not there before the kill."""
        served: list[Work] = []
        for _ in range(_TRIES):
            work = self._work(run)
            if _get(self.port, _target(work), _headers(work)) != "done":
                raise KillsError(f"{work.unit}, after the kill, is not answered; gunicorn:\n{self.gunicorn.tail()}")
            served.append(replace(work, answered=True))
            if self.bench.page.look(work.number).pid not in before:
                return served
        raise KillsError(f"no new process served any of {_TRIES} requests")

    def _work(self, run: Run, *, long: bool = False) -> Work:
        number, bench = self.bench.number(), self.bench
        names = bench.functions("short", bench.rng.randrange(1, 7))
        if long or bench.rng.random() < 0.2:
            names = (*names, *bench.functions("long", 5 if long else 1))
        return Work(number, run, names, f"GET /work/{number}/", answered=False)

    def _send(self, waiting: deque[Work], answers: set[int]) -> None:
        with suppress(IndexError):
            while True:
                work = waiting.popleft()
                if _get(self.port, _target(work), _headers(work)) == "done":
                    answers.add(work.number)


def _target(work: Work) -> str:
    return f"/work/{work.number}/{'.'.join(work.names)}"


def _headers(work: Work) -> dict[str, str]:
    slug, token = work.run
    return {"X-Profile-Trace": slug, "X-Profile-Trace-Run": token, "X-Profile-Trace-Step": str(work.number)}


def _get(port: int, target: str, headers: dict[str, str]) -> str | None:
    """Return the answer; `None` when there is none, as when the server was killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", target, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        text = response.read().decode()
    except (http.client.HTTPException, ConnectionError):
        return None
    finally:
        connection.close()
    status = response.getheader("X-Profile-Trace-Status")
    if response.status != 200 or status != ("on" if headers else None):
        raise KillsError(f"{target}: {response.status}, trace status {status}: {text[:500]}")
    return text
