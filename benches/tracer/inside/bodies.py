"""Every body of work by its name, as requests to an app that is served in one of the ways."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.tracer.code import calls, loops, waiting

from . import floor, generated, least, packaged, ways

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

#: Code in which each line runs once: functions, and lines in each. About 1,600 lines in all.
FLAT = (60, 25)
#: A sample is the quickest of so many: the first one finds the caches as another process left them.
_REPEATS = 3
_FLASK = ("trivial", "template", "loops", "calls", "flat", "waiting")


def _trivial() -> str:
    return "ok"


class Bodies:
    """The apps of this process, and what can be asked of them."""

    def __init__(self, way: str, work: Path) -> None:
        self.way = way
        self.work = work
        flat = generated.write_and_load(work / "generated" / "bench_flat.py", generated.flat_source(*FLAT))
        self.flat = flat.run
        if way == "floor":
            floor.listen(flat)
        self.recorder: Any = None
        if way in least.WAYS:
            folders = [Path(loops.__file__).parent, work / "generated", work / "packaged"]
            self.recorder = least.listen(way, folders, work / "least" / f"{os.getpid()}.ledger")
        self._bare_app = ways.serve(way, ways.BareApp(), flask=False, recorder=self.recorder)
        self._flask_app: WSGIApplication | None = None
        self._bodies: dict[str, Callable[[], object]] = {
            "trivial": _trivial,
            "loops": loops.work,
            "one-line": loops.one_line,
            "calls": calls.work,
            "recursion": calls.recursion,
            "flat": self.flat,
            "waiting": waiting.work,
        }

    def flask_app(self) -> WSGIApplication:
        """The Flask app, made when it is first asked for."""
        if self._flask_app is None:
            from benches.tracer.code import views

            self._flask_app = ways.serve(self.way, views.make_app(self.flat), flask=True, recorder=self.recorder)
        return self._flask_app

    def request(self, name: str, headers: dict[str, str]) -> Callable[[], object]:
        """What makes one request for a body: `flask.<view>` or the name of a bare body."""
        flask = name.startswith("flask.")
        app = self.flask_app() if flask else self._bare_app
        template = ways.environ_of("/" + name.removeprefix("flask."), headers, None if flask else self.bare(name))
        return lambda: _request(app, dict(template))

    def call(self, body: Callable[[], object], headers: dict[str, str]) -> object:
        """One request that calls `body`."""
        return _request(self._bare_app, ways.environ_of("/call", headers, body))

    def bare(self, name: str) -> Callable[[], object]:
        """A body as a function."""
        if name not in self._bodies:
            self._bodies[name] = packaged.body(name, self.work / "packaged")
        return self._bodies[name]

    def time(self, name: str, headers: dict[str, str], count: int) -> dict[str, float]:
        """Make so many requests, several times over; seconds of the quickest time, by processor and by wall."""
        request = self.request(name, headers)
        cpus, walls = [], []
        for _ in range(_REPEATS):
            wall, cpu = time.perf_counter(), time.thread_time()
            for _ in range(count):
                request()
            cpus.append(time.thread_time() - cpu)
            walls.append(time.perf_counter() - wall)
        return {"cpu": min(cpus), "wall": min(walls)}

    def answer(self, name: str, headers: dict[str, str]) -> str:
        """What the body answers."""
        return repr(self.request(name, headers)())


def _request(app: WSGIApplication, environ: WSGIEnvironment) -> object:
    """One request, its body read and closed as a server does."""
    status: list[str] = []

    def start_response(line: str, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], object]:
        status.append(line)
        return lambda _data: None

    body = app(environ, start_response)
    try:
        data = b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    if status != ["200 OK"]:
        raise RuntimeError(f"{environ['PATH_INFO']}: {status}, process {os.getpid()}")
    return environ.get("bench.answer", data)
