"""A load for job queues whose lines are known beforehand: eight profiles, and nobody, send jobs at once.

Each job calls one function that no other job calls. So a line that is missing, or that is somebody else's, is found job
by job, although a profile's lines are a union. What a kind of job is, the app of each queue says (``celery_app.py``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from judged import judge
from rq_stage import wait
from traffic import by_route, entered

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping, Sequence

    from conftest import Workspace
    from judged import Judged

HERE = Path(__file__).parent
#: `make queues` runs all tests of queues. Otherwise Celery's are run, and of each other queue one.
EVERY = os.environ.get("PLAYTRACE_TEST_QUEUES") == "all"
thorough = pytest.mark.skipif(not EVERY, reason="`make queues` runs it")
PROFILES = [f"p{n}" for n in range(8)]
NOBODY = "nobody"
#: How many functions one sending of any kind calls, at most.
WIDTH = 4
RUN = "r"

#: Sends everything: a thread for each profile, and for nobody.
SEND = """
import contextlib
import sys
import threading
import playtrace_agent
import {app}

slugs, rounds, run = {slugs!r}, {rounds}, {run!r}
failed = []


def send(slug):
    try:
        for n in range(rounds):
            for kind in {kinds!r}:
                # As a request does: a unit for each.
                with contextlib.nullcontext() if slug == "nobody" else playtrace_agent.trace(slug, run):
                    {app}.KINDS[kind]([f"{{slug}}_{{kind}}_{{n}}_{{m}}" for m in range({width})])
    except BaseException as error:
        failed.append(repr(error))
        raise


threads = [threading.Thread(target=send, args=(slug,)) for slug in slugs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("; ".join(failed) or None)
"""


#: Faults for the app to import, each of which hits one profile. Beside them, ``p0``'s slug is to be taken off its jobs.
FAULTS = """
from playtrace_agent import _native, jobs, units

# The ends of one profile's jobs are not recorded, and the context of another one's is not left.
open_unit, within, end, of = jobs.open_unit, jobs.within, units.end, {}


def _open_unit(run, kind, **more):
    unit = open_unit(run, kind, **more)
    of[unit] = run[0]
    return unit


def _within(unit, work):
    if of.get(unit) != "p2":
        return within(unit, work)
    try:
        _native.enter(unit)
        return work()
    finally:
        units.end(unit)


jobs.open_unit, jobs.within = _open_unit, _within
units.end = lambda unit: None if of.get(unit) == "p1" else end(unit)
# A sender that does not know whose its work is.
run = units.current_run
units.current_run = lambda: None if (run() or ("",))[0] == "p3" else run()
"""


@dataclass(frozen=True)
class Load:
    """An app of a queue, and what is sent to it."""

    #: The app's file, here and in the workspace.
    app: str
    #: Kind of job → how many functions one sending calls.
    kinds: Mapping[str, int]
    rounds: int = 2

    def names(self, slug: str) -> list[str]:
        """Return the functions that the jobs of a profile call."""
        kinds = self.kinds.items()
        return [f"{slug}_{kind}_{n}_{m}" for n in range(self.rounds) for kind, width in kinds for m in range(width)]

    def prepare(self, workspace: Workspace, url: str) -> redis.Redis:
        """Write the app and its leaves; return an empty Redis."""
        shutil.copy(HERE / f"{self.app}.py", workspace.app / f"{self.app}.py")
        omitted = f"omit =\n    {self.app}.py\n    driver*.py\n"
        workspace.write("coverage.profile-playback.ini", f"[run]\nrelative_files = True\n{omitted}")
        every = [name for slug in (*PROFILES, NOBODY) for name in self.names(slug)] + ["nobody_beat"]
        workspace.write("leaves.py", "\n".join(f"def {name}():\n    return {name!r}\n\n" for name in every))
        connection = redis.Redis.from_url(url, decode_responses=True)
        connection.flushall()
        return connection

    def send(self, workspace: Workspace, env: Mapping[str, str | None]) -> None:
        """Send everything, in a process of its own."""
        slugs = [*PROFILES, NOBODY]
        text = SEND.format(app=self.app, slugs=slugs, rounds=self.rounds, run=RUN, kinds=list(self.kinds), width=WIDTH)
        path = workspace.write("driver_send.py", text)
        done = subprocess.run(
            [sys.executable, str(path)], env=workspace.environment(env), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def wait(self, connection: redis.Redis, worker: subprocess.Popen[str], count: int | None = None) -> None:
        """Wait until all functions were called, by the app's own count."""
        wanted = count if count is not None else sum(len(self.names(slug)) for slug in (*PROFILES, NOBODY))

        def called() -> int:
            return int(str(connection.scard("called")))

        wait(lambda: called() >= wanted or worker.poll() is not None, lambda: f"{called()} of {wanted}", seconds=120)
        assert worker.poll() is None, "the worker ended"


@dataclass
class Found:
    """Lines at the wrong place, and lines that are not there."""

    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def compare(workspace: Workspace, load: Load) -> Found:
    """Compare every profile's lines with what its jobs called. They may be in ledgers only."""
    contexts = workspace.look().contexts()
    texts = (workspace.app / "leaves.py").read_text().splitlines()
    found = Found()
    for slug in PROFILES:
        lines = contexts.get(f"profile:{slug}", {}).get("leaves.py", [])
        names = {texts[line - 1].strip().removeprefix("return ").strip("'") for line in lines}
        wanted = set(load.names(slug))
        found.wrong += [f"{slug}: {name}" for name in sorted(names - wanted)]
        found.lost += [f"{slug}: {name}" for name in sorted(wanted - names)]
    others = set(contexts) - {f"profile:{slug}" for slug in PROFILES} - {"import"}
    found.wrong += sorted(others)
    return found


def judge_all(workspace: Workspace) -> None:
    """See that every profile's run is complete."""
    for slug in PROFILES:
        judged = judge(workspace, [], slug=slug, run=RUN)
        assert (judged.status, judged.reasons) == ("complete", []), f"{slug}: {judged}"


def see_traffic(workspace: Workspace, load: Load) -> None:
    """See that `ALWAYS` has recorded what nobody's jobs called, and nothing else of the leaves."""
    assert entered(workspace, file="leaves.py") - {"nobody_beat"} == set(load.names(NOBODY))
    found = by_route(workspace, file="leaves.py")
    assert found
    assert all(route.startswith("job:") for route in found), found


def see_faults(workspace: Workspace, load: Load, lost: Sequence[str] = ("p3",)) -> Judged:
    """See that each of the faults hits its profile and no other; return what is said of ``p0``."""
    found = compare(workspace, load)
    assert {text.partition(":")[0] for text in found.wrong} == {"p2"}, found
    assert {text.partition(":")[0] for text in found.lost} == set(lost), found
    ids = {slug: {r["job"] for r in workspace.look().of_kind(slug, "enqueue", RUN)} for slug in ("p0", "p1")}
    stripped = judge(workspace, [], slug="p0", run=RUN)
    assert stripped.status == "failed"
    without = "came to its worker without profile_trace_slug"
    assert all(stripped.names(f"job {job} {without}") for job in ids["p0"]), stripped
    unended = judge(workspace, [], slug="p1", run=RUN)
    assert unended.status == "partial"
    assert all(unended.names("ended in the middle of", f"job {job}") for job in ids["p1"]), unended
    # The others are none the worse.
    assert judge(workspace, [], slug="p4", run=RUN).status == "complete"
    return stripped


@contextmanager
def running(
    workspace: Workspace, command: Sequence[str], env: Mapping[str, str | None], end: signal.Signals
) -> Iterator[subprocess.Popen[str]]:
    """Run a worker until the block ends; stop it in order. What it says is in ``worker.log``."""
    log = workspace.root / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            list(command),
            env=workspace.environment(env),
            cwd=workspace.app,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield process
        process.send_signal(end)
        process.wait(timeout=60)
    except BaseException as error:
        error.add_note(log.read_text()[-5000:])
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def said(workspace: Workspace) -> str:
    """Return what the worker said."""
    return (workspace.root / "worker.log").read_text()
