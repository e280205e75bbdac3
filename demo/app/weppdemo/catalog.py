"""The tables that ship with the app: cover classes, weather stations, run configurations."""

from __future__ import annotations

import csv
import functools
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weppdemo.errors import UnknownRun, UserError

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class CoverClass:
    """A cover class: its raster code, runoff curve number, RUSLE C factor and ground cover (0 to 1)."""

    name: str
    label: str
    code: int
    curve_number: float
    cover_factor: float
    ground_cover: float


# COLD ONLY: this cache lives as long as the process, so that the body runs for the first caller alone.
# It is the one place in the app where that is so; the demo's README lists it for those who compare runs.
@functools.lru_cache(maxsize=1)
def cover_classes() -> dict[str, CoverClass]:
    """The cover classes by name."""
    classes: dict[str, CoverClass] = {}
    with (_HERE / "data" / "cover.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            classes[row["name"]] = CoverClass(
                name=row["name"],
                label=row["label"],
                code=int(row["code"]),
                curve_number=float(row["curve_number"]),
                cover_factor=float(row["cover_factor"]),
                ground_cover=float(row["ground_cover"]),
            )
    return classes


def cover_class(name: str) -> CoverClass:
    """The class of that name; raises `UserError` for a name that the table does not have."""
    found = cover_classes().get(name)
    if found is None:
        raise UserError(f"{name!r} is not a cover class")
    return found


def cover_by_code(code: int) -> CoverClass:
    """The class with that raster code; raises `UserError` for an unknown code."""
    matches = [cover for cover in cover_classes().values() if cover.code == code]
    if not matches:
        raise UserError(f"{code} is not a land cover code")
    return matches[0]


def stations() -> dict[str, dict[str, Any]]:
    """The weather stations by name."""
    text = (_HERE / "data" / "stations.json").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = json.loads(text)
    return loaded


def run_config(name: str) -> dict[str, Any]:
    """A run configuration; raises `UnknownRun` for a name that does not exist."""
    if name not in config_names():
        raise UnknownRun(f"there is no configuration {name!r}")
    return tomllib.loads(config_path(name).read_text(encoding="utf-8"))


def config_names() -> list[str]:
    """The configurations that ship with the app, sorted."""
    return sorted(path.stem for path in (_HERE / "configs").glob("*.toml"))


def config_path(name: str) -> Path:
    """The file of a configuration."""
    return _HERE / "configs" / f"{name}.toml"
