"""Counts and compares what two watchers saw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.parity.accepted import Difference
from tests.parity.session import Seen

Line = tuple[str, int]


@dataclass
class Tally:
    """What was compared of one package under one Python."""

    package: str
    python: str
    #: Function-body lines that both have.
    lines: set[Line] = field(default_factory=set)
    differences: set[Difference] = field(default_factory=set)
    #: Lines that run while a file is imported, the same with both; and those that are not.
    others: set[Line] = field(default_factory=set)
    others_differ: set[tuple[str, int, str]] = field(default_factory=set)
    tests: int = 0
    failed: int = 0
    seconds: float = 0.0

    def add(self, seen: dict[str, Seen], function_lines: Seen, left_out: Collection[str] = ()) -> int:
        """Take in one execution that both watched; say how many lines of function bodies it ran."""
        ran = 0
        ctrace, agent = seen["ctrace"], seen["agent"]
        for file in sorted(set(ctrace) | set(agent)):
            if file in left_out:
                continue
            bodies = function_lines.get(file, frozenset())
            sides = {"ctrace": ctrace.get(file, frozenset()), "agent": agent.get(file, frozenset())}
            both = sides["ctrace"] & sides["agent"]
            self.lines.update((file, line) for line in both & bodies)
            self.others.update((file, line) for line in both - bodies)
            ran += len(both & bodies)
            for who, lines in sides.items():
                for line in lines - both:
                    if line in bodies:
                        self.differences.add(Difference(self.package, file, line, self.python, who))
                    else:
                        self.others_differ.add((file, line, who))
        return ran


def bodies_only(seen: Seen, function_lines: Seen, left_out: Collection[str] = ()) -> set[Line]:
    """Return the function-body lines of what one watcher saw."""
    kept = {file: lines & function_lines[file] for file, lines in seen.items() if file not in left_out}
    return {(file, line) for file, lines in kept.items() for line in lines}


@dataclass(frozen=True)
class Apart:
    """One piece run four times: ctrace alone twice, the agent alone, and both together."""

    stable: int
    #: Lines that differ between the two runs of ctrace alone: the work itself is not the same each time.
    unstable: tuple[Line, ...]
    #: Stable lines that a run with both watchers, or with the agent alone, has not, or has besides.
    differ: tuple[tuple[str, int, str], ...]


def compare_apart(first: set[Line], second: set[Line], others: dict[str, set[Line]]) -> Apart:
    """Compare runs of one watcher each with those of the other and of both."""
    unstable = first ^ second
    stable = first & second
    differ = {(file, line, name) for name, lines in others.items() for file, line in (lines ^ stable) - unstable}
    return Apart(len(stable), tuple(sorted(unstable)), tuple(sorted(differ)))
