"""Ash after a fire: how much lies there, what wind and water take."""

from __future__ import annotations

from typing import Any

from weppdemo.terrain.grid import Grid
from weppdemo.terrain.network import Hillslope

# Bulk densities in kg per square metre and millimetre of depth.
BLACK_DENSITY = 0.22
WHITE_DENSITY = 0.31


def depth_from_severity(severity: int, black: float, white: float) -> tuple[str, float]:
    """Kind and depth (mm) of the ash by burn severity; unburned land has none."""
    if severity >= 3:
        return "white", white
    if severity >= 1:
        return "black", black * severity / 2.0
    return "none", 0.0


def load_from_raster(hillslope: Hillslope, raster: Grid) -> float:
    """Mean depth (mm) of an uploaded ash map on a hillslope."""
    depths = [max(0.0, raster.values[cell]) for cell in hillslope.cells]
    return sum(depths) / len(depths)


def transport(
    hillslope: Hillslope, kind: str, depth: float, days: list[dict[str, Any]], month: int
) -> dict[str, float]:
    """Kilograms of ash that wind and water carry off in the year after a fire in `month`."""
    density = WHITE_DENSITY if kind == "white" else BLACK_DENSITY
    remaining = depth * density * hillslope.area
    start = remaining
    wind = water = 0.0
    for entry in days:
        if entry["month"] < month and entry["year"] == days[0]["year"]:
            continue
        if entry["rain"] > 5.0:
            washed = remaining * min(0.5, 0.02 * entry["rain"] * hillslope.slope)
            water += washed
            remaining -= washed
        elif entry["rain"] == 0.0:
            blown = remaining * 0.002
            wind += blown
            remaining -= blown
    return {
        "initial": round(start, 2),
        "wind": round(wind, 2),
        "water": round(water, 2),
        "remaining": round(remaining, 2),
    }
