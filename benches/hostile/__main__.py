"""`make bench-hostile`: a server is flooded with hostile headers, with the agent on and off, and others are timed.

    python -m benches.hostile [--servers N] [--rounds N] [--only SERVER]

The servers of a set stand at once, and are flooded in turn; only one has anything to do at a time. Then comes another
set, since two servers of the same program differ by some per cent for as long as they live. A server answers as many
as it can: what is compared is how long a request without a header takes meanwhile, and what processor time each takes.
The latter can be told on a busy machine, too.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benches.tracer.estimate import Estimate, estimate, judge
from benches.tracer.processes import environment
from tests.oracle import surroundings

from . import headers
from .flood import Connection, request_of

from stack_services import Service, free_port, wait_until  # isort: skip

FILE = surroundings.REPOSITORY / "benches" / "results" / "hostile.json"
HOW = "make bench-hostile"
#: So many times as long as without the agent an untraced request may take under a flood, and so much work be each.
TARGET = 1.10
#: Of one processor, for ten thousand in a second.
PER_CENT = 10.0
SECONDS = 0.8

_GUNICORN = ("gunicorn", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "300", "--timeout", "300")
_UVICORN = ("uvicorn", "--port", "PORT", "--no-access-log", "--log-level", "warning")
SERVERS = {
    "gunicorn": (*_GUNICORN, "--bind", "127.0.0.1:PORT", "benches.hostile.app:wsgi"),
    "uvicorn": (*_UVICORN, "benches.hostile.app:asgi"),
    "gunicorn, Flask": (*_GUNICORN, "--bind", "127.0.0.1:PORT", "benches.hostile.frameworks:flask_app"),
    "uvicorn, FastAPI": (*_UVICORN, "benches.hostile.frameworks:fastapi_app"),
}
_VERSIONS = ("gunicorn", "uvicorn", "flask", "fastapi")
_OFF: dict[str, str] = {}
_OPEN = {"ENABLE_PROFILE_COVERAGE": "1"}
_SECRET = {**_OPEN, "PROFILE_TRACE_SECRET": headers.SECRET}
#: What is flooded how: the agent's environment, and what is sent.
WAYS = {
    "off": (_OFF, "hostile"),
    "off again": (_OFF, "hostile"),
    "secret": (_SECRET, "hostile"),
    "off, malformed": (_OFF, "malformed"),
    "open": (_OPEN, "malformed"),
}
_PLAIN = request_of({})


@dataclass
class Flooded:
    """A server, what floods it, and what was seen."""

    port: int
    server: int
    flood: subprocess.Popen[str]
    #: Of each round: the median seconds of an untraced request, the server's processor seconds for each that it
    #: answered, and how many that were in a second.
    latency: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """Flood it for so long."""
        if self.flood.stdin is None or self.flood.stdout is None:
            raise RuntimeError("it was started without pipes")
        connection, took, untraced = Connection(self.port), [], 0
        spent, begin = spent_by(self.server), time.perf_counter()
        self._say()
        while (now := time.perf_counter()) < begin + seconds:
            connection.ask(_PLAIN)
            untraced += 1
            # It takes a moment until the flood is there.
            if now > begin + seconds / 8:
                took.append(time.perf_counter() - now)
        self._say()
        answered = untraced + int(self.flood.stdout.readline())
        connection.socket.close()
        self.latency.append(median(took))
        self.work.append((spent_by(self.server) - spent) / answered)
        self.rate.append(answered / (time.perf_counter() - begin))

    def _say(self) -> None:
        if self.flood.stdin is not None:
            self.flood.stdin.write("\n")
            self.flood.stdin.flush()


def spent_by(server: int) -> float:
    """Return the processor seconds that a server's process and its workers' have taken so far."""
    nanoseconds = 0
    for pid in (server, *Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split()):
        for task in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return nanoseconds / 1e9


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benches.hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--servers", type=int, default=6, help="sets of servers, one after the other (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="of each set (%(default)s)")
    parser.add_argument("--only", action="append", choices=list(SERVERS), help="only this server (repeatable)")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    load = [round(load, 1) for load in os.getloadavg()]
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-hostile-") as name:
        for server in given.only or SERVERS:
            command = SERVERS[server]
            sets = [flooded(Path(name) / server / str(n), command, given.rounds) for n in range(given.servers)]
            rows += rows_of(server, sets)
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


def flooded(work: Path, command: Sequence[str], rounds: int, seconds: float = SECONDS) -> dict[str, Flooded]:
    """Flood a server in each way, in turn; every other round the other way round."""
    with ExitStack() as ends:
        found: dict[str, Flooded] = {}
        for way, (env, kind) in WAYS.items():
            port = free_port()
            env = environment(**env, **({"PROFILE_COVERAGE_DIR": str(work / way / "coverage")} if env else {}))
            argv = [sys.executable, "-m", *(word.replace("PORT", str(port)) for word in command)]
            service = Service(way, argv, work / way, env, work / way / "log")
            service.start()
            ends.callback(service.stop, 30.0)
            wait_until(functools.partial(_answers, port), way, [service], 60.0)
            flood = subprocess.Popen(
                [sys.executable, "-m", "benches.hostile.flood", str(port), kind],
                cwd=surroundings.REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ends.callback(_end, flood)
            if service.process is None:
                raise RuntimeError(f"{way} was not started")
            found[way] = Flooded(port, service.process.pid, flood)
        # The first round warms up.
        for turn in range(rounds + 1):
            for one in list(found.values())[:: 1 if turn % 2 == 0 else -1]:
                one.measure(seconds)
        for one in found.values():
            del one.latency[0], one.work[0], one.rate[0]
    return found


def _answers(port: int) -> bool:
    try:
        connection = Connection(port)
    except OSError:
        return False
    with connection.socket:
        connection.ask(_PLAIN)
    return True


def _end(flood: subprocess.Popen[str]) -> None:
    # It ends when there is nothing more to read.
    flood.communicate(timeout=30)


def rows_of(server: str, sets: Sequence[dict[str, Flooded]]) -> list[dict[str, Any]]:
    """The rows of one server; each of the sets had processes of its own."""
    made = []
    control = {what: ratios(sets, what, "off again", "off") for what in _WHAT}
    for way, off in (("secret", "off"), ("open", "off, malformed")):
        for what in _WHAT:
            measured = ratios(sets, what, way, off)
            verdict = judge(measured, control[what], TARGET, 1.0)
            rates = {name: round(typical(sets, name, "rate")) for name in (way, off)}
            takes = {name: round(typical(sets, name, "latency") * 1e3, 3) for name in (way, off)}
            spent = {name: round(typical(sets, name, "work") * 1e6, 1) for name in (way, off)}
            made.append(
                {
                    "id": f"{server}, {way}: {_WHAT[what]}",
                    "value": round(measured.value, 3),
                    "unit": "ratio to the agent off",
                    "target": TARGET,
                    "better": "lower",
                    "met": "not measured" if verdict.note else verdict.met,
                    "peers": {},
                    "how": HOW,
                    "interval": [round(measured.low, 3), round(measured.high, 3)],
                    "control": [round(control[what].low, 3), round(control[what].high, 3)],
                    "answered in a second": {"on": rates[way], "off": rates[off]},
                    "untraced, ms": {"on": takes[way], "off": takes[off]},
                    "processor, µs": {"on": spent[way], "off": spent[off]},
                }
            )
    return made


_WHAT = {
    "latency": "an untraced request under a flood",
    "work": "the server's processor time for each request of a flood",
}


def ratios(sets: Sequence[dict[str, Flooded]], what: str, ours: str, theirs: str) -> Estimate:
    """Of each round, by set: two servers of the same program differ by some per cent for as long as they live."""
    pairs = [(getattr(found[ours], what), getattr(found[theirs], what)) for found in sets]
    return estimate([[one / other for one, other in zip(*pair, strict=True)] for pair in pairs])


def typical(sets: Sequence[dict[str, Flooded]], way: str, what: str) -> float:
    """The median of all rounds."""
    return float(median(value for found in sets for value in getattr(found[way], what)))


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
