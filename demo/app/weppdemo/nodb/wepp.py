"""Options and results of the erosion model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from weppdemo.errors import NotReady
from weppdemo.nodb.base import NoDb


@dataclass
class Wepp(NoDb):
    """Results by hillslope and channel; runoff in mm, sediment in kg."""

    document: ClassVar[str] = "wepp"

    baseflow: bool = False
    critical_shear: float = 10.0
    hillslopes: dict[str, dict[str, float]] = field(default_factory=dict)
    channels: dict[str, dict[str, float]] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    finished: bool = False

    def results(self) -> dict[str, dict[str, float]]:
        """Results by hillslope; raises `NotReady` before the model ran."""
        if not self.hillslopes:
            raise NotReady("run the model first")
        return self.hillslopes

    def totals(self) -> dict[str, Any]:
        """Sums and the worst hillslope, for the reports."""
        results = self.results()
        worst = max(sorted(results), key=lambda key: results[key]["soil_loss"])
        return {
            "runoff_m3": round(sum(row["runoff_m3"] for row in results.values()), 1),
            "sediment_kg": round(sum(row["sediment"] for row in results.values()), 1),
            "worst_hillslope": worst,
            "worst_soil_loss": results[worst]["soil_loss"],
        }
