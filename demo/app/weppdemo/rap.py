"""Rangeland cover through the years, in the manner of the Rangeland Analysis Platform."""

from __future__ import annotations

from weppdemo.catalog import cover_class
from weppdemo.terrain.network import Hillslope
from weppdemo.terrain.synth import lattice_noise


def cover_series(hillslopes: list[Hillslope], cover: dict[str, str], years: list[int]) -> dict[str, list[float]]:
    """Ground cover (0 to 1) of each hillslope by year: the class's own, with wet and dry years."""
    series: dict[str, list[float]] = {}
    for hillslope in hillslopes:
        typical = cover_class(cover[str(hillslope.id)]).ground_cover
        series[str(hillslope.id)] = [
            round(min(1.0, max(0.0, typical + 0.2 * (lattice_noise(7, year, hillslope.id) - 0.5))), 3)
            for year in years
        ]
    return series


def mean_cover(series: dict[str, list[float]]) -> float:
    """Mean over hillslopes and years."""
    values = [value for yearly in series.values() for value in yearly]
    return round(sum(values) / len(values), 3)
