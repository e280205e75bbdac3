"""One hillslope through the whole model. Called from pool threads: it touches nothing but its arguments."""

from __future__ import annotations

from dataclasses import dataclass

from weppdemo.catalog import CoverClass
from weppdemo.model.hydrology import daily_runoff, snow_adjusted
from weppdemo.model.rusle import delivery_ratio, soil_loss
from weppdemo.terrain.network import Hillslope


@dataclass(frozen=True)
class HillslopeInput:
    """All that the model needs to know about one hillslope."""

    hillslope: Hillslope
    cover: CoverClass
    erodibility: float
    erosivity: float
    rain: list[float]
    temperature: list[float]
    years: int
    rap_cover: list[float]

    @property
    def cover_factor(self) -> float:
        """The class's C factor, corrected where a cover series says that the ground is barer or greener."""
        if not self.rap_cover:
            return self.cover.cover_factor
        mean = sum(self.rap_cover) / len(self.rap_cover)
        return self.cover.cover_factor * (1.5 - mean) / (1.5 - self.cover.ground_cover)


def run_hillslope(given: HillslopeInput) -> dict[str, float]:
    """Annual runoff (mm, m³), soil loss (t/ha), sediment to the channel (kg), and the largest day."""
    water = snow_adjusted(given.rain, given.temperature)
    runoff = daily_runoff(water, given.cover.curve_number)
    loss = soil_loss(given.hillslope, given.erosivity, given.erodibility, given.cover_factor)
    delivered = delivery_ratio(given.hillslope, given.cover.ground_cover)
    hectares = given.hillslope.area / 10_000.0
    annual = sum(runoff) / given.years
    return {
        "runoff": round(annual, 3),
        "runoff_m3": round(annual / 1000.0 * given.hillslope.area, 3),
        "largest_runoff": round(max(runoff), 3),
        "soil_loss": round(loss, 4),
        "sediment": round(1000.0 * loss * hectares * delivered, 3),
    }
