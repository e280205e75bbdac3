"""Choosing the cover of each hillslope: from elevation bands, an uploaded raster, or one class for all."""

from __future__ import annotations

from weppdemo.catalog import cover_by_code, cover_class
from weppdemo.errors import UserError
from weppdemo.terrain.grid import Grid
from weppdemo.terrain.network import Hillslope

BURN_CLASSES = {1: "burn_low", 2: "burn_moderate", 3: "burn_high"}


def by_elevation(hillslopes: list[Hillslope], bands: list[str]) -> dict[str, str]:
    """Cut the relief into as many equal bands as there are classes, lowest first."""
    low = min(hillslope.elevation for hillslope in hillslopes)
    high = max(hillslope.elevation for hillslope in hillslopes)
    width = max(high - low, 1.0) / len(bands)
    cover: dict[str, str] = {}
    for hillslope in hillslopes:
        band = min(int((hillslope.elevation - low) / width), len(bands) - 1)
        cover[str(hillslope.id)] = cover_class(bands[band]).name
    return cover


def from_raster(hillslopes: list[Hillslope], raster: Grid) -> dict[str, str]:
    """The most frequent class of the raster on each hillslope; ties go to the lower code."""
    cover: dict[str, str] = {}
    for hillslope in hillslopes:
        codes = [int(raster.values[cell]) for cell in hillslope.cells]
        dominant = max(sorted(set(codes)), key=codes.count)
        cover[str(hillslope.id)] = cover_by_code(dominant).name
    return cover


def single(hillslopes: list[Hillslope], name: str) -> dict[str, str]:
    """The same class everywhere."""
    chosen = cover_class(name).name
    return {str(hillslope.id): chosen for hillslope in hillslopes}


def burn_severity(hillslopes: list[Hillslope], raster: Grid) -> dict[str, int]:
    """Mean severity (0 unburned to 3 high) of the soil burn severity map on each hillslope, rounded."""
    severity: dict[str, int] = {}
    for hillslope in hillslopes:
        classes = [min(3, max(0, int(raster.values[cell]))) for cell in hillslope.cells]
        severity[str(hillslope.id)] = round(sum(classes) / len(classes))
    return severity


def apply_burn(cover: dict[str, str], severity: dict[str, int], transform: dict[str, str]) -> dict[str, str]:
    """Replace burned covers by their burn class, unless a transform says what to use instead."""
    burned: dict[str, str] = {}
    for hillslope, name in cover.items():
        burn_class = BURN_CLASSES.get(severity.get(hillslope, 0), name)
        burned[hillslope] = transform.get(f"{name}:{burn_class}", burn_class)
    return burned


def parse_transform(text: str) -> dict[str, str]:
    """Read a cover transform: CSV lines `cover,burn class,result`; raise `UserError` naming a bad line."""
    transform: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word.strip() for word in line.split(",")]
        if len(words) != 3:
            raise UserError(f"line {number}: expected cover,burn class,result; found {len(words)} fields")
        before, burn_class, after = words
        transform[f"{cover_class(before).name}:{cover_class(burn_class).name}"] = cover_class(after).name
    return transform
