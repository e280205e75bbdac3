"""Daymet-like daily series: read from an uploaded file, or made up on the grid point nearest the run."""

from __future__ import annotations

import csv
import math
from typing import Any

from weppdemo.climate.series import dates, day
from weppdemo.errors import UserError
from weppdemo.terrain.synth import lattice_noise

_COLUMNS = ("year", "month", "day", "prcp", "tmean")


def parse_cli(text: str) -> list[dict[str, Any]]:
    """Read an uploaded climate file (CSV with year, month, day, prcp in mm, tmean in °C).

    Lines that begin with `#` are comments. Raises `UserError` naming the line that is wrong.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if not line.startswith("#")]
    if not lines or tuple(lines[0][1].split(",")) != _COLUMNS:
        raise UserError(f"a climate file begins with the line {','.join(_COLUMNS)}")
    days: list[dict[str, Any]] = []
    for (number, _), row in zip(lines[1:], csv.reader(line for _, line in lines[1:]), strict=True):
        try:
            year, month, date = (int(word) for word in row[:3])
            rain, temperature = (float(word) for word in row[3:])
        except ValueError:
            raise UserError(f"climate file, line {number}: expected five numbers") from None
        days.append(day(year, month, date, rain, temperature))
    return days


def summarise(days: list[dict[str, Any]]) -> dict[str, Any]:
    """What the upload page shows about a climate file."""
    rain = [entry["rain"] for entry in days]
    return {
        "days": len(days),
        "years": sorted({entry["year"] for entry in days}),
        "rain_mm": round(sum(rain), 1),
        "wettest_day_mm": max(rain),
        "mean_temperature": round(sum(entry["temperature"] for entry in days) / len(days), 2),
    }


def synthesise(station: dict[str, Any], start_year: int, years: int) -> list[dict[str, Any]]:
    """A series for those who upload none: rain in spells of about a week, a sine for temperature."""
    days: list[dict[str, Any]] = []
    for number, (year, month, date) in enumerate(dates(start_year, years)):
        spell = math.sin(number / 7.0 * 2.0 * math.pi) + lattice_noise(3, year, number) - 0.5
        rain = max(0.0, spell - 0.4) * station["rain"] * station["monthly"][month - 1]
        days.append(day(year, month, date, rain, station["temperature"][month - 1]))
    return days


def fill_gaps(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace days of missing rain (negative) by the mean of the days around them."""
    filled = [dict(entry) for entry in days]
    for index, entry in enumerate(filled):
        if entry["rain"] < 0.0:
            around = [max(0.0, days[near]["rain"]) for near in (index - 1, index + 1) if 0 <= near < len(days)]
            entry["rain"] = round(sum(around) / len(around), 2)
    return filled
