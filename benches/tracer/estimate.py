"""What a set of paired measurements says, and how sure it is."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_RESAMPLED = 1_000


@dataclass(frozen=True)
class Estimate:
    """A median, and the interval in which it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    def far(self, null: float) -> float:
        """How far from `null` the interval reaches."""
        return max(abs(self.low - null), abs(self.high - null))


def estimate(groups: Sequence[Sequence[float]], seed: int = 1) -> Estimate:
    """The median of all values, with its bootstrap interval.

    A group holds what one set of processes measured. Processes of the same program differ a little from each other
    for as long as they live, so groups are drawn with replacement first, then values within each drawn group.

    Raises:
        ValueError: There is nothing to estimate from.
    """
    groups = [group for group in groups if group]
    if not groups:
        raise ValueError("nothing was measured")
    draw = random.Random(seed)
    medians = []
    for _ in range(_RESAMPLED):
        drawn: list[float] = []
        for group in draw.choices(groups, k=len(groups)):
            drawn += draw.choices(group, k=len(group))
        medians.append(median(drawn))
    medians.sort()
    cut = round(_RESAMPLED * 0.025)
    return Estimate(median(value for group in groups for value in group), medians[cut], medians[-1 - cut])


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(sum(math.log(value) for value in values) / len(values))


@dataclass(frozen=True)
class Judgement:
    """Whether a target is met, and, where that can't be told, why."""

    met: bool
    note: str | None = None


def judge(measured: Estimate, control: Estimate, target: float, null: float) -> Judgement:
    """Compare an estimate with its target, lower being better.

    Met means that the upper bound lies within the target. `control` is the same measurement of two twins, which should
    give `null`: where it strays from it by more than the target does, nothing can be told, unless the measurement is
    clear of the target by more than the control strays.
    """
    stray = control.far(null)
    if measured.high + stray <= target:
        return Judgement(True)
    if measured.low - stray > target:
        return Judgement(False)
    if stray > abs(target - null):
        return Judgement(
            False, f"not measured: two twins differ by up to {stray:.3g}, the target lies {abs(target - null):.3g} off"
        )
    return Judgement(measured.high <= target)
