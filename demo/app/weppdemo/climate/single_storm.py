"""One design storm: no seasons, no antecedent moisture, only its depth, duration and peak."""

from __future__ import annotations

from typing import Any

from weppdemo.climate.series import day


def check_storm(depth: float, duration: float, peak: float) -> None:
    """Raise `ValueError` for a storm that can't fall: the model would divide by its duration."""
    if depth <= 0.0 or duration <= 0.0:
        raise impossible(depth, duration)
    if peak * duration < depth:
        raise impossible(depth, duration, f" never exceed {peak:g} mm/h")


def impossible(depth: float, duration: float, why: str = "") -> ValueError:
    """The error that names a storm and what is wrong with it."""
    return ValueError(f"impossible storm: {depth:g} mm in {duration:g} h{why}")


def build(year: int, storm: dict[str, float]) -> list[dict[str, Any]]:
    """A dry day, the storm, a dry day."""
    check_storm(storm["depth"], storm["duration"], storm["peak"])
    return [
        day(year, 6, 1, 0.0, 18.0),
        day(year, 6, 2, storm["depth"], 16.0),
        day(year, 6, 3, 0.0, 18.0),
    ]


def hyetograph(depth: float, duration: float, steps: int = 12) -> list[float]:
    """Rain of each of `steps` equal parts of the storm, in mm: a triangle with its peak at a third."""
    top = steps / 3.0
    weights = [
        (step + 0.5) / top if step + 0.5 <= top else (steps - step - 0.5) / (steps - top)
        for step in range(steps)
    ]
    share = depth / sum(weights)
    return [round(weight * share * min(1.0, 24.0 / duration), 3) for weight in weights]
