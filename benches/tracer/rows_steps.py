"""The row `steps`: the demo's profiles, web requests and jobs, at each granularity."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import ROOT, Worker, WorkerError, Workers, environment
from .results import Row, not_measured, row
from .rounds import Samples, own_twin, turns
from .setting import Setting

_DEMO = ROOT / "demo"
#: The table's row is `steps`; the others show what each granularity costs on the same work.
_GRANULARITIES = ("profile", "steps", "symbol", "request")
#: The process without the agent, whose replays are all untraced.
_TWIN = "twin"


def steps(setting: Setting, redis_server: Path, how: str, say: Callable[[str], None]) -> list[Row]:
    """Ratios to the same process untraced, for all profiles together: seconds of the processor in the app and its jobs.

    Two processes differ by some per cent for as long as they live, whatever runs in them: as much as is to be measured
    here. So each is its own twin. What the agent takes from a process that traces nothing is the rows `never` and
    `idle`; here it is a peer, `untraced`: beside the process without the agent, as well as two processes can be told.
    """
    samples = Samples()
    missing: dict[str, str] = {}
    groups, rounds = (1, 2) if setting.quick else (6, 4)
    for group in range(groups):
        say(f"{setting.version}: the demo's profiles, processes {group + 1} of {groups}")
        with Workers() as workers, _redis(setting, redis_server) as port:
            for number, name in enumerate((_TWIN, *_GRANULARITIES)):
                granularity = None if name == _TWIN else name
                workers.add(name, _start(setting, name, granularity, f"redis://127.0.0.1:{port}/{number}"))
            workers.await_ready()
            missing |= workers.missing
            _rounds(workers, samples, group, rounds)
    made = []
    how = f"{how}: traced and untraced replays in turn in one process"
    for name in _GRANULARITIES:
        ident = f"steps.{name}.{setting.version}"
        if name in missing:
            made.append(not_measured(ident, missing[name], how))
            continue
        profiles = samples.bodies(name)
        control = samples.total_ratio(_TWIN, own_twin(_TWIN), *profiles)
        peers = {"untraced": samples.total_ratio(own_twin(name), own_twin(_TWIN), *profiles).value}
        made.append(row(ident, samples.total_ratio(name, own_twin(name), *profiles), control, how, peers))
    return made


def _rounds(workers: Workers, samples: Samples, group: int, rounds: int) -> None:
    """Replay profile by profile: a process's two replays follow each other, and are compared round by round.

    A shared machine changes its speed by a half within minutes: of three replays the quickest would say more of that
    than of the agent. A process has all of its rounds of a profile before the next process has any: the first replay
    after another process's finds the caches cold, and would be the traced one in half of the rounds, not the same half
    in each profile.
    """
    profiles = next(iter(workers.by_name.values())).do("profiles")
    for number, slug in enumerate(profiles):
        answers: object = None
        for name in turns(list(workers.by_name), group + number):
            # The first turn warms up: it imports what is imported late, and meets all code.
            for turn in range(-1, rounds):
                kinds = [(name, name != _TWIN), (own_twin(name), False)]
                for kind, traced in kinds[:: 1 if (turn + number) % 2 == 0 else -1]:
                    replayed = workers.by_name[name].do("replay", slug=slug, traced=traced, run="one")
                    answers = answers or replayed["answers"]
                    if replayed["answers"] != answers:
                        raise WorkerError(f"{kind}: the demo app answers otherwise than elsewhere ({slug})")
                    if turn >= 0:
                        samples.note(kind, slug, group, turn, replayed["seconds"])


def _start(setting: Setting, name: str, granularity: str | None, redis: str) -> Worker:
    base = setting.work / "demo" / name
    env = environment(
        WEPPDEMO_RUNS_DIR=str(base / "runs"),
        WEPPDEMO_REDIS_URL=redis,
        ADMIN_EMAIL="admin@example.org",
        ADMIN_PASSWORD="weppdemo-admin",
        PROFILE_PLAYBACK_BASE=str(base / "playback"),
    )
    env["PYTHONPATH"] = ":".join([str(ROOT), str(_DEMO), str(_DEMO / "app")])
    if granularity is not None:
        env |= setting.agent_environment(base / "coverage", granularity)
        env["PROFILE_COVERAGE_CONFIG"] = str(_DEMO / "app" / "coverage.profile-playback.ini")
    return Worker(setting.python, "demo", base, env, setting.work / "logs" / f"demo-{name}.log", randomised=True)


@contextmanager
def _redis(setting: Setting, program: Path) -> Iterator[int]:
    """A Redis of its own; its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    directory = setting.work / "redis"
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await_port(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise WorkerError("redis-server did not answer within 20 s")
