"""`make bench-hostile`: a server is flooded with hostile headers, through the agent and past it, and others are timed.

    python -m benches.hostile [--servers N] [--rounds N] [--only SERVER]

A server with the agent answers by two paths, through the agent's middleware and past it, and is flooded by each in
turn: what is compared is how long a request without a header takes meanwhile, and what processor time each takes. (What
an agent costs that nobody asks for anything is `never` of `make bench-tracer`.) Both are measured in one process, since
two processes of the same program differ by some per cent for as long as they live; then comes another one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benches.tracer.estimate import Estimate, estimate, judge
from benches.tracer.processes import environment
from tests.oracle import surroundings

from . import headers
from .paths import AGAIN, DIRECT, TRACED
from .server import Seen, flooded

FILE = surroundings.REPOSITORY / "benches" / "results" / "hostile.json"
HOW = "make bench-hostile"
#: So many times as long as past the agent an untraced request may take under a flood, and so much work be each.
TARGET = 1.10
#: Of one processor, for ten thousand in a second.
PER_CENT = 10.0
SECONDS = 0.5

_GUNICORN = ("gunicorn", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "300", "--timeout", "300")
_UVICORN = ("uvicorn", "--port", "PORT", "--no-access-log", "--log-level", "warning")
SERVERS = {
    "gunicorn": (*_GUNICORN, "--bind", "127.0.0.1:PORT", "benches.hostile.app:wsgi_ways"),
    "uvicorn": (*_UVICORN, "benches.hostile.app:asgi_ways"),
    "gunicorn, Flask": (*_GUNICORN, "--bind", "127.0.0.1:PORT", "benches.hostile.frameworks:flask_ways"),
    "uvicorn, FastAPI": (*_UVICORN, "benches.hostile.frameworks:fastapi_ways"),
}
_VERSIONS = ("gunicorn", "uvicorn", "flask", "fastapi")
_OPEN = {"ENABLE_PROFILE_COVERAGE": "1"}
_SECRET = {**_OPEN, "PROFILE_TRACE_SECRET": headers.SECRET}
#: The agent's environment, and what is sent.
SETTINGS = {"secret": (_SECRET, "hostile"), "open": (_OPEN, "malformed")}


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--servers", type=int, default=4, help="of each kind, one after the other (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="of each server (%(default)s)")
    parser.add_argument("--only", action="append", choices=list(SERVERS), help="only this server (repeatable)")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    load = [round(load, 1) for load in os.getloadavg()]
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-hostile-") as name:
        for server in given.only or SERVERS:
            for setting, (env, kind) in SETTINGS.items():
                places = [Path(name) / server / setting / str(n) for n in range(given.servers)]
                found = [flooded(place, SERVERS[server], env, kind, given.rounds, SECONDS) for place in places]
                rows += rows_of(f"{server}, {setting}", found)
        rows += inside(Path(name) / "inside")
    document = {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "load": load,
            "load after": [round(load, 1) for load in os.getloadavg()],
            "servers": given.servers,
            "rounds": given.rounds,
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _VERSIONS}},
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['id']}: {row['value']} {row['unit']} (target {row['target']}, met {row['met']})")
    return 0


def rows_of(name: str, servers: Sequence[dict[str, Seen]]) -> list[dict[str, Any]]:
    """The rows of servers of one kind."""
    made = []
    for what, said in _WHAT.items():
        measured, control = ratios(servers, what, TRACED), ratios(servers, what, AGAIN)
        verdict = judge(measured, control, TARGET, 1.0)
        made.append(
            {
                "id": f"{name}: {said}",
                "value": round(measured.value, 3),
                "unit": "ratio to the same past the agent",
                "target": TARGET,
                "better": "lower",
                "met": "not measured" if verdict.note else verdict.met,
                "peers": {},
                "how": HOW,
                "interval": [round(measured.low, 3), round(measured.high, 3)],
                "control": [round(control.low, 3), round(control.high, 3)],
                "answered in a second": _both(servers, "rate", 1),
                "untraced, µs": _both(servers, "latency", 1e6),
                "processor, µs": _both(servers, "work", 1e6),
            }
        )
    return made


_WHAT = {
    "latency": "an untraced request under a flood",
    "work": "the server's processor time for each request of a flood",
}


def ratios(servers: Sequence[dict[str, Seen]], what: str, path: str) -> Estimate:
    """Of each round of each server: the path, to the one past the agent."""
    pairs = [(getattr(found[path], what), getattr(found[DIRECT], what)) for found in servers]
    return estimate([[one / other for one, other in zip(*pair, strict=True)] for pair in pairs])


def _both(servers: Sequence[dict[str, Seen]], what: str, times: float) -> dict[str, float]:
    """The medians of all rounds."""
    paths = {"through": TRACED, "past": DIRECT}
    return {
        name: round(median(value for found in servers for value in getattr(found[path], what)) * times, 1)
        for name, path in paths.items()
    }


def inside(work: Path) -> list[dict[str, Any]]:
    """What is done for ten thousand of them in a second, without a server."""
    env = environment(**_SECRET, PROFILE_COVERAGE_DIR=str(work))
    argv = [sys.executable, "-m", "benches.hostile.inside"]
    done = subprocess.run(argv, env=env, cwd=surroundings.REPOSITORY, capture_output=True, text=True, check=True)
    return [
        {
            "id": f"{protocol}: ten thousand hostile requests in a second",
            "value": round(micros / 1e6 * 10_000 * 100, 1),
            "unit": "% of one processor",
            "target": PER_CENT,
            "better": "lower",
            "met": micros / 1e6 * 10_000 * 100 <= PER_CENT,
            "peers": {},
            "how": HOW,
            "each, µs": round(micros, 2),
        }
        for protocol, micros in json.loads(done.stdout).items()
    ]


if __name__ == "__main__":
    sys.exit(main())
