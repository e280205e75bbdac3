"""The weather that the model is driven by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from weppdemo.errors import NotReady
from weppdemo.nodb.base import NoDb


@dataclass
class Climate(NoDb):
    """How the climate is made, and the daily series that was made (rain in mm, temperature in °C)."""

    document: ClassVar[str] = "climate"

    mode: str = ""
    station: str = ""
    years: int = 1
    start_year: int = 2010
    seed: int = 1
    storm: dict[str, float] = field(default_factory=dict)
    stations: list[str] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    factors: dict[str, float] = field(default_factory=dict)

    def daily(self) -> list[dict[str, Any]]:
        """The daily series; raises `NotReady` before the climate is built."""
        if not self.days:
            raise NotReady("build the climate first")
        return self.days

    def annual_rain(self) -> dict[int, float]:
        """Rain by year in millimetres."""
        years = sorted({int(day["year"]) for day in self.days})
        return {year: round(sum(day["rain"] for day in self.days if day["year"] == year), 2) for year in years}
