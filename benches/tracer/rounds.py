"""Rounds of timing: every process in turn, again and again, and what comes of it by body and round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .estimate import Estimate, estimate, geometric_mean

#: Which process, which body: seconds a request, by group and round; `None` where it was not asked in that round.
Key = tuple[str, str]


@dataclass
class Samples:
    """What was measured. A group is one set of processes; a round asks each of them once."""

    seconds: dict[Key, dict[tuple[int, int], float]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, name: str, body: str, group: int, turn: int, seconds: float) -> None:
        """Keep one measurement."""
        self.seconds[name, body][group, turn] = seconds

    def has(self, name: str, body: str) -> bool:
        """Whether there is anything."""
        return bool(self.seconds.get((name, body)))

    def _paired(
        self, name: str, base: str, bodies: Sequence[str], combine: Callable[[list[tuple[float, float]]], float]
    ) -> Estimate:
        turns: set[tuple[int, int]] | None = None
        for body in bodies:
            both = self.seconds[name, body].keys() & self.seconds[base, body].keys()
            turns = set(both) if turns is None else turns & both
        groups: dict[int, list[float]] = defaultdict(list)
        for group, turn in sorted(turns or ()):
            pairs = [(self.seconds[name, b][group, turn], self.seconds[base, b][group, turn]) for b in bodies]
            groups[group].append(combine(pairs))
        return estimate(list(groups.values()))

    def ratio(self, name: str, base: str, *bodies: str) -> Estimate:
        """How many times as long as `base`; of several bodies, the geometric mean of each round."""
        return self._paired(name, base, bodies, lambda pairs: geometric_mean([a / b for a, b in pairs]))

    def total_ratio(self, name: str, base: str, *bodies: str) -> Estimate:
        """How many times as long as `base` all bodies together take, round by round."""
        return self._paired(name, base, bodies, lambda pairs: sum(a for a, _ in pairs) / sum(b for _, b in pairs))

    def bodies(self, name: str) -> list[str]:
        """What was timed in a process."""
        return [body for known, body in self.seconds if known == name and self.seconds[known, body]]

    def more(self, name: str, base: str, *bodies: str) -> Estimate:
        """How many microseconds a request more than `base`; of several bodies, the mean."""
        return self._paired(name, base, bodies, lambda pairs: sum(a - b for a, b in pairs) / len(pairs) * 1e6)


def own_twin(name: str) -> str:
    """The name of what a traced process does untraced, where it is its own twin."""
    return f"{name}, untraced"


def turns(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: each process comes at each place in turn, in both directions."""
    order = [*names[turn % len(names) :], *names[: turn % len(names)]]
    return order if turn % 2 == 0 else order[::-1]
