"""Which lines each kind of request executes, found without the agent: one at a time, under `sys.settrace`.

As a program, it reads the kinds of work as JSON from its input and writes what it found to its output. The measured
package is on the path, the agent is off.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from tests.stress import support
from tests.stress.catalog import Way
from tests.stress.leaves import PACKAGE
from tests.stress.plan import BRIDGE, Work

# Measured path and line.
Place = tuple[str, int]


@dataclass(frozen=True)
class Expected:
    """What a kind of work executes."""

    # For its own profile.
    own: frozenset[Place]
    # For the profile that a part of it is traced for.
    inner: frozenset[Place]
    # Under a context that is given up by then: for its own profile at most, and never for another.
    stale: frozenset[Place]
    # What it answers.
    answer: str


def find(python: str, env: Mapping[str, str], kinds: Iterable[Work], way: Way) -> dict[Work, Expected]:
    """Find the lines of each kind of work, in a process of its own."""
    wanted = sorted(set(kinds))
    argv = [python, "-m", "tests.stress.reference", way]
    done = subprocess.run(
        argv, input=json.dumps(wanted), env=dict(env), stdout=subprocess.PIPE, text=True, check=True, timeout=600
    )
    found = json.loads(done.stdout)
    files: list[str] = found["files"]

    def places(numbers: list[list[int]]) -> frozenset[Place]:
        return frozenset((files[file], line) for file, line in numbers)

    return {
        work: Expected(places(own), places(inner), places(stale), answer)
        for work, (own, inner, stale, answer) in zip(wanted, found["work"], strict=True)
    }


class _Recorder(support.Hooks):
    """Collects lines; there is one set that all threads' lines go to, for there is one request at a time."""

    def __init__(self, root: Path) -> None:
        self.root = f"{root}/"
        self.sets: dict[str, set[Place]] = {}
        self.current: set[Place] = set()
        self.begin()

    def begin(self) -> None:
        """Begin a request."""
        self.sets = {"own": set(), "inner": set(), "stale": set()}
        self.current = self.sets["own"]

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """The trace function: for frames of the measured package, have lines reported."""
        name = frame.f_code.co_filename
        if not name.startswith(self.root):
            return None
        path = name.removeprefix(self.root)

        def line(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "line":
                self.current.add((path, frame.f_lineno))
            return line

        return line

    @contextmanager
    def _into(self, name: str) -> Iterator[None]:
        support.drain()
        before, self.current = self.current, self.sets[name]
        try:
            yield
        finally:
            self.current = before

    def block(self, ticket: support.Ticket) -> AbstractContextManager[None]:
        """In place of `playtrace_agent.trace`."""
        return self._into("inner")

    def forget(self, ticket: support.Ticket, work: Callable[[int], int], key: int) -> None:
        """Make the call at once, and keep its lines apart."""
        with self._into("stale"):
            work(key)

    def fork(self, ticket: support.Ticket) -> None:
        """Not here: what the child does is nobody's."""


# Does a kind of work and returns what it answers.
Do = Callable[[int, int, list[str]], str]
_UNTRACED = {"number": "0", "run": "", "alone": ""}


def _as_views() -> Do:
    from flask import Flask
    from stresswork import kinds  # type: ignore[import-not-found]
    from werkzeug.test import create_environ, run_wsgi_app

    app = Flask(__name__)
    app.add_url_rule("/work", view_func=kinds.view)
    environ = create_environ("/work")

    def do(profile: int, key: int, features: list[str]) -> str:
        query = {**_UNTRACED, "profile": str(profile), "key": str(key), "features": ".".join(features)}
        body, status, _ = run_wsgi_app(app, {**environ, "QUERY_STRING": urllib.parse.urlencode(query)}, buffered=True)
        assert status == "200 OK", status
        return b"".join(body).decode()

    return do


def _as_jobs() -> Do:
    from stresswork import kinds

    def do(profile: int, key: int, features: list[str]) -> str:
        return str(kinds.job(profile, key, features, support.Ticket.parse(profile, _UNTRACED)))

    return do


def _as_coroutines() -> Do:
    import asyncio

    from tests.stress import asgi_app

    loop = asyncio.new_event_loop()

    async def work(query: dict[str, str]) -> str:
        said = await asgi_app.work(query)
        await asgi_app.afterwards(query)
        return said

    def do(profile: int, key: int, features: list[str]) -> str:
        query = {**_UNTRACED, "profile": str(profile), "key": str(key), "features": ".".join(features)}
        return loop.run_until_complete(work(query))

    return do


def main(way: Way) -> None:
    """Try each kind of work."""
    import stresswork

    recorder = _Recorder(Path(stresswork.__file__).parents[1])
    support.hooks = recorder
    wanted = json.load(sys.stdin)
    bridged = any(name in BRIDGE for _, _, features in wanted for name in features)
    for module in ("kinds", *(["coroutines"] if way == "coroutine" else []), *(["bridge"] if bridged else [])):
        importlib.import_module(f"stresswork.{module}")
    do = {"view": _as_views, "job": _as_jobs, "coroutine": _as_coroutines}[way]()
    # Flask's own first request, and the pool's threads.
    threading.settrace(recorder.trace)
    sys.settrace(recorder.trace)
    do(0, 0, ["pool", "loop", "stream"])
    support.drain()
    files: dict[str, int] = {}
    found = []
    for profile, key, features in wanted:
        recorder.begin()
        answer = do(profile, key, features)
        support.drain()
        sets = [sorted(recorder.sets[name]) for name in ("own", "inner", "stale")]
        numbered = [[(files.setdefault(file, len(files)), line) for file, line in one] for one in sets]
        found.append([*numbered, answer])
    sys.settrace(None)
    assert all(file.startswith(f"{PACKAGE}/") for file in files)
    json.dump({"files": list(files), "work": found}, sys.stdout)
    sys.stdout.flush()
    # A driver's threads wait for connections that nobody closes.
    os._exit(0)


if __name__ == "__main__":
    main(cast("Way", sys.argv[1]))
