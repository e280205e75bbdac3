"""What a hostile request takes more than one without a header, in this process: `python -m benches.hostile.inside`.

Prints microseconds by protocol. The agent is on, and has a secret.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from . import app, headers

ROUNDS, AT_ONCE = 120, 50


def _wsgi(found: dict[str, str]) -> Callable[[], object]:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REMOTE_ADDR": "192.0.2.1"}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in found.items()}

    def start(_status: str, _headers: Any, _error: Any = None) -> Callable[[bytes], object]:
        return len

    return lambda: list(app.wsgi(environ, start))


def _asgi(found: dict[str, str]) -> Callable[[], object]:
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in found.items()]
    scope = {"type": "http", "method": "GET", "path": "/x", "client": ("192.0.2.1", 1), "headers": sent}

    async def send(_message: Any) -> None:
        pass

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    def call() -> object:
        # It waits for nothing: one step is all.
        try:
            app.asgi(scope, receive, send).send(None)
        except StopIteration:
            return None
        raise RuntimeError("it waits")

    return call


def _seconds(calls: list[Callable[[], object]]) -> float:
    """The median: on a busy machine a call may be interrupted, and takes as long as that."""
    took = []
    for call in calls:
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return median(took)


def main() -> None:
    """Measure both, in turn."""
    logging.disable(logging.CRITICAL)
    found: dict[str, float] = {}
    for name, prepare in (("wsgi", _wsgi), ("asgi", _asgi)):
        plain = [prepare({})] * AT_ONCE
        more = []
        for turn in range(ROUNDS):
            hostile = [prepare(headers.hostile(turn * AT_ONCE + number)) for number in range(AT_ONCE)]
            before = _seconds(plain)
            more.append(_seconds(hostile) - (before + _seconds(plain)) / 2)
        found[name] = median(more) * 1e6
    print(json.dumps(found))


if __name__ == "__main__":
    main()
