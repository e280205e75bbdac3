"""Daily runoff of a hillslope by the curve-number method."""

from __future__ import annotations


def moisture_adjusted(curve_number: float, wetness: float) -> float:
    """The curve number for the rain of the five days before, in mm."""
    if wetness < 13.0:
        return curve_number / (2.281 - 0.01281 * curve_number)
    if wetness > 28.0:
        return curve_number / (0.427 + 0.00573 * curve_number)
    return curve_number


def storm_runoff(rain: float, curve_number: float) -> float:
    """Runoff of a day's rain, both in mm."""
    retention = 25_400.0 / curve_number - 254.0
    initial = 0.2 * retention
    return 0.0 if rain <= initial else (rain - initial) ** 2 / (rain + 0.8 * retention)


def daily_runoff(rain: list[float], curve_number: float) -> list[float]:
    """Runoff of each day in mm, each day's curve number adjusted to the days before."""
    runoff: list[float] = []
    for number, depth in enumerate(rain):
        wetness = sum(rain[max(0, number - 5) : number])
        runoff.append(storm_runoff(depth, moisture_adjusted(curve_number, wetness)))
    return runoff


def snow_adjusted(rain: list[float], temperature: list[float]) -> list[float]:
    """Hold rain back as snow on freezing days and release it, 3 mm a degree and day, in the thaw."""
    pack = 0.0
    released: list[float] = []
    for depth, degrees in zip(rain, temperature, strict=True):
        if degrees <= 0.0:
            pack += depth
            released.append(0.0)
        else:
            melt = min(pack, 3.0 * degrees)
            pack -= melt
            released.append(depth + melt)
    return released
