"""So many kills of each kind, shared out over the scenarios."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.kills import horses, scripts, web
from tests.kills.check import Counts
from tests.kills.scenarios import SCENARIOS, Bench, Scenario, Tamper


class Killer(Protocol):
    """What a scenario's servers are to us."""

    def kill(self) -> None:
        """Do one round."""


_RUNNING: dict[str, Callable[[Bench], AbstractContextManager[Killer]]] = {
    "web": web.running,
    "horse": horses.running,
    "script": scripts.running,
}
# How many of ten kills are of each kind.
_SHARES = {"web": 4, "horse": 3, "script": 3}


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario's kills."""

    scenario: Scenario
    counts: Counts
    seconds: float


def shares(kills: int, scenarios: Sequence[Scenario] = SCENARIOS) -> dict[Scenario, int]:
    """Share kills out: first over the kinds, then over the scenarios of each. The first ones get what is left over."""
    kinds = {scenario.kind: [other for other in scenarios if other.kind == scenario.kind] for scenario in scenarios}
    whole = sum(_SHARES[kind] for kind in kinds)
    given: dict[Scenario, int] = {}
    for kind, members in kinds.items():
        for index, scenario in enumerate(members):
            given[scenario] = kills * _SHARES[kind] * (index + 1) // (whole * len(members)) - (
                kills * _SHARES[kind] * index // (whole * len(members))
            )
    given[scenarios[0]] += kills - sum(given.values())
    return given


def run(scenario: Scenario, kills: int, out: Path, python: str, seed: int, tamper: Tamper | None = None) -> Outcome:
    """Kill so many times.

    Raises:
        Exception: It could not be found out whether lines are lost.
    """
    began = time.monotonic()
    bench = Bench.make(scenario, out, python, seed, tamper)
    if kills > 0:
        with _RUNNING[scenario.kind](bench) as killer:
            for _ in range(kills):
                killer.kill()
    return Outcome(scenario, bench.counts, time.monotonic() - began)


def total(outcomes: Sequence[Outcome]) -> Counts:
    """All kills together."""
    counts = Counts()
    for outcome in outcomes:
        counts.add(outcome.counts)
    return counts


def sentence(outcomes: Sequence[Outcome]) -> str:
    """The line that people look for."""
    by_kind = {kind: sum(o.counts.kills for o in outcomes if o.scenario.kind == kind) for kind in _SHARES}
    whole = total(outcomes)
    return (
        f"kills {whole.kills} (web {by_kind['web']}, horses {by_kind['horse']}, scripts {by_kind['script']}) "
        f"lost {whole.lost} wrong {whole.wrong} unreadable {whole.unreadable}"
    )
