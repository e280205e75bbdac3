"""A weather generator in CLIGEN's manner: a two-state Markov chain for rain, a sine for temperature."""

from __future__ import annotations

import random
from typing import Any

from weppdemo.climate.series import dates, day


def generate(station: dict[str, Any], start_year: int, years: int, seed: int) -> list[dict[str, Any]]:
    """Daily weather at a station; the same arguments give the same weather."""
    dice = random.Random(seed)
    wet = False
    days: list[dict[str, Any]] = []
    for year, month, number in dates(start_year, years):
        chance = station["wet_after_wet"] if wet else station["wet_after_dry"]
        wet = dice.random() < chance
        depth = _wet_day_depth(dice, station, month) if wet else 0.0
        temperature = station["temperature"][month - 1] + dice.gauss(0.0, 2.5)
        days.append(day(year, month, number, depth, temperature))
    return days


def _wet_day_depth(dice: random.Random, station: dict[str, Any], month: int) -> float:
    mean = station["rain"] * station["monthly"][month - 1]
    # A gamma of shape 0.7: many small rains, a few large ones.
    return dice.gammavariate(0.7, mean / 0.7)
