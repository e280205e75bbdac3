"""`make bench-hostile` sends what is refused, and says what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benches.hostile.__main__ import SERVERS, WAYS, Flooded, flooded, rows_of
from benches.tracer.processes import ROOT, environment

# What the agent answers to the first of each, by protocol.
ASK = """
import json
from benches.hostile import app, headers

said = {}
for name in ("hostile", "malformed"):
    for number in range(60):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REMOTE_ADDR": "192.0.2.1"}
        for header, value in getattr(headers, name)(number).items():
            environ["HTTP_" + header.upper().replace("-", "_")] = value
        seen = []
        list(app.wsgi(environ, lambda status, headers: seen.extend(headers)))
        said.setdefault(name, []).append(dict(seen).get("X-Profile-Trace-Status", ""))
print(json.dumps(said))
"""


def test_all_of_it_is_refused(tmp_path: Path) -> None:
    for way, kind in (("secret", "hostile"), ("open", "malformed")):
        env = environment(**WAYS[way][0], PROFILE_COVERAGE_DIR=str(tmp_path / way))
        argv = [sys.executable, "-c", ASK]
        done = subprocess.run(argv, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        said = json.loads(done.stdout)[kind]
        assert len(said) == 60
        assert all(status.startswith("off; ") for status in said), said


def test_a_flood_is_answered_and_measured(tmp_path: Path) -> None:
    found = flooded(tmp_path, SERVERS["uvicorn"], 1, seconds=0.2)
    assert found.keys() == WAYS.keys()
    for one in found.values():
        assert len(one.latency) == len(one.work) == len(one.rate) == 1
        assert min(*one.latency, *one.work, *one.rate) > 0


def test_each_server_has_its_app() -> None:
    apps = [command[-1] for command in SERVERS.values()]
    code = "import pkgutil, sys\nfor name in sys.argv[1:]: assert callable(pkgutil.resolve_name(name)), name"
    subprocess.run([sys.executable, "-c", code, *apps], env=environment(), cwd=ROOT, check=True)


def test_rows_compare_with_the_agent_off() -> None:
    found: dict[str, Flooded] = {}
    for way in WAYS:
        slow = 2.0 if way == "secret" else 1.0
        found[way] = Flooded(0, 0, None, [slow] * 8, [slow] * 8, [1.0] * 8)  # type: ignore[arg-type]
    met = {row["id"]: (row["value"], row["met"]) for row in rows_of("s", [found, found])}
    assert met == {
        "s, secret: an untraced request under a flood": (2.0, False),
        "s, secret: the server's processor time for each request of a flood": (2.0, False),
        "s, open: an untraced request under a flood": (1.0, True),
        "s, open: the server's processor time for each request of a flood": (1.0, True),
    }
