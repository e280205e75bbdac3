"""Days of weather, and the numbers derived from them."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from typing import Any


def day(year: int, month: int, number: int, rain: float, temperature: float) -> dict[str, Any]:
    """One day: rain in mm, mean temperature in °C."""
    return {
        "year": year,
        "month": month,
        "day": number,
        "rain": round(rain, 2),
        "temperature": round(temperature, 2),
    }


def dates(start_year: int, years: int) -> Iterator[tuple[int, int, int]]:
    """Year, month and day of every day of the period."""
    for year in range(start_year, start_year + years):
        for month in range(1, 13):
            for number in range(1, calendar.monthrange(year, month)[1] + 1):
                yield year, month, number


def erosivity(days: list[dict[str, Any]]) -> float:
    """Annual rain erosivity R from daily rain (MJ mm / (ha h a)); days under 12.7 mm count for nothing."""
    years = len({entry["year"] for entry in days})
    energy = sum(0.25 * (entry["rain"] - 2.0) ** 1.6 for entry in days if entry["rain"] >= 12.7)
    return round(float(energy / years), 3)


def spread(factors: dict[str, float], days: list[dict[str, Any]], hillslope: str) -> list[float]:
    """The rain of each day on one hillslope: the station's, times the hillslope's factor if it has one."""
    factor = factors.get(hillslope, 1.0)
    return [entry["rain"] * factor for entry in days]
