"""Several stations at once: rank them by distance and height, and give each hillslope its own rain factor."""

from __future__ import annotations

import math
from typing import Any

from weppdemo.terrain.network import Hillslope

# Rain grows by this share per metre above the station.
_LAPSE = 0.0004


def rank_stations(stations: dict[str, dict[str, Any]], origin: str, limit: int) -> list[str]:
    """The stations nearest to `origin`, itself first; 100 m of height count as much as 10 km."""
    home = stations[origin]

    def distance(name: str) -> float:
        other = stations[name]
        east = (other["lon"] - home["lon"]) * 111.0 * math.cos(math.radians(home["lat"]))
        north = (other["lat"] - home["lat"]) * 111.0
        return math.hypot(east, north) + abs(float(other["elevation"]) - float(home["elevation"])) / 10.0

    return sorted(stations, key=lambda name: (distance(name), name))[:limit]


def blend(series: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The mean of several stations' series, weighted by rank: the first counts most."""
    weights = [1.0 / (rank + 1) for rank in range(len(series))]
    total = sum(weights)
    blended: list[dict[str, Any]] = []
    for entries in zip(*series, strict=True):
        merged = dict(entries[0])
        for key in ("rain", "temperature"):
            weighted = sum(weight * entry[key] for weight, entry in zip(weights, entries, strict=True))
            merged[key] = round(weighted / total, 2)
        blended.append(merged)
    return blended


def hillslope_factors(hillslopes: list[Hillslope]) -> dict[str, float]:
    """Rain factor of each hillslope against the lowest one."""
    base = min(hillslope.elevation for hillslope in hillslopes)
    return {
        str(hillslope.id): round(1.0 + _LAPSE * (hillslope.elevation - base), 4) for hillslope in hillslopes
    }
