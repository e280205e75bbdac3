"""What is killed: a web process, a work horse, a script. Each scenario starts its servers once and kills many times."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.kills import check, moments, source
from tests.kills.check import Counts, Work
from tests.kills.page import PAGE, Page
from tests.kills.source import Measured
from tests.oracle import surroundings

from stack_services import Service  # isort: skip

# Pieces of work for which a scenario's page has cells.
_WORKS = 100_000
GRACE_SECONDS = 120.0
START_SECONDS = 120.0
# The runs that are under way at once: two profiles, one of them twice.
_RUNS = (("kills-0", "a"), ("kills-0", "b"), ("kills-1", "a"))

# What is done to a coverage directory.
Tamper = Callable[[Path], object]


@dataclass(frozen=True)
class Scenario:
    """What runs."""

    name: str
    # `web`, `horse` or `script`.
    kind: str
    gunicorn: tuple[str, ...] = ()
    granularity: str = "steps"
    # Requests under way at once.
    clients: int = 2
    # The kinds of moments that are drawn.
    moments: tuple[str, ...] = moments.KINDS


SYNC = Scenario("web-sync", "web", ("--worker-class", "sync", "--workers", "2"))
GTHREAD = Scenario("web-gthread", "web", ("--worker-class", "gthread", "--workers", "2", "--threads", "4"), clients=6)
BY_REQUEST = Scenario("web-gthread-request", "web", GTHREAD.gunicorn, "request", clients=6)
HORSE = Scenario("horse", "horse")
SCRIPT = Scenario("script", "script")
SCENARIOS = (SYNC, GTHREAD, BY_REQUEST, HORSE, SCRIPT)


class KillsError(Exception):
    """Something other than the agent went wrong; then nothing can be said."""


@dataclass
class Bench:
    """A Python with the agent, the measured package, a page, and a coverage directory."""

    scenario: Scenario
    out: Path
    python: str
    seed: int
    measured: Measured
    page: Page
    rng: random.Random
    # Done to the data before it is compared, to show that the comparison sees it.
    tamper: Tamper | None = None
    works: int = 0
    rounds: int = 0
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def make(cls, scenario: Scenario, out: Path, python: str, seed: int, tamper: Tamper | None = None) -> Self:
        """Make everything below `out/<scenario>`; what is measured is the same for all, in `out/measured`."""
        measured = source.write(out / "measured")
        out /= scenario.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        page = Page(out / "page", works=_WORKS)
        rng = random.Random(f"{scenario.name} {seed}")
        return cls(scenario, out, python, seed, measured, page, rng, tamper)

    @property
    def directory(self) -> Path:
        """Where shards go."""
        return self.out / "coverage"

    def environment(self, **more: str) -> dict[str, str]:
        """Return what processes with the agent on are started with."""
        foreign = ("PROFILE_", "ENABLE_PROFILE_COVERAGE", "KILLS_", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **env,
            "PYTHONPATH": f"{self.measured.root}{os.pathsep}{surroundings.REPOSITORY}",
            "ENABLE_PROFILE_COVERAGE": "1",
            "PROFILE_COVERAGE_DIR": str(self.directory),
            "PROFILE_COVERAGE_CONFIG": str(self.measured.root / source.CONFIG),
            "PROFILE_COVERAGE_GRANULARITY": self.scenario.granularity,
            PAGE: str(self.out / "page"),
            **more,
        }

    def service(self, name: str, argv: Sequence[str], **more: str) -> Service:
        """Return a service that runs in this environment."""
        return Service(name, argv, self.out, self.environment(**more), self.out / f"{name}.log")

    def runs(self) -> list[check.Run]:
        """Return the runs of the round that begins: nobody has heard of them."""
        self.rounds += 1
        return [(slug, f"{token}-{self.seed}-{self.rounds}") for slug, token in _RUNS]

    def number(self) -> int:
        """Return the number of a new piece of work."""
        self.works += 1
        return self.works - 1

    def functions(self, kind: str, count: int) -> tuple[str, ...]:
        """Draw functions of a kind, none of them twice."""
        names = [name for name in self.measured.bodies if name.startswith(f"{kind}_")]
        return tuple(self.rng.sample(names, count))

    def draw(self, work: Work) -> moments.Moment:
        """Draw the moment of a kill."""
        return moments.draw(self.rng, self.scenario.moments, work.number, len(self.measured.steps(work.names)))

    def compare(self, killed: int, works: Sequence[Work]) -> Counts:
        """Compare after a kill, and take the round's data away; where something is wrong, a copy is kept."""
        comparison = check.Comparison(
            self.directory,
            self.out / "scratch",
            self.measured,
            self.page,
            killed,
            works,
            self.scenario.granularity == "request",
        )
        if self.tamper:
            self.tamper(self.directory)
        counts = comparison.compare()
        counts.examples = [f"{self.scenario.name} round {self.rounds}: {example}" for example in counts.examples]
        if not counts.clean and not self.tamper:
            kept = self.out / "kept" / str(self.rounds)
            shutil.copytree(self.directory, kept / "coverage", dirs_exist_ok=True)
            shutil.copytree(self.out / "scratch", kept / "scratch", dirs_exist_ok=True)
        check.forget(self.directory, {work.run for work in works})
        self.counts.add(counts)
        return counts
