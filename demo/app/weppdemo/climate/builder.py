"""Building the climate of a run by the method that it chose."""

from __future__ import annotations

from typing import Any

from weppdemo.catalog import stations
from weppdemo.errors import UserError
from weppdemo.nodb.climate import Climate
from weppdemo.terrain.network import Hillslope

MODES = ("stochastic", "daymet", "single-storm", "heuristic-multiple")


def build(climate: Climate, uploaded: str | None, hillslopes: list[Hillslope]) -> None:
    """Fill the document's days and factors; raises `ValueError` for a storm that can't fall."""
    climate.factors = {}
    if climate.mode == "stochastic":
        climate.days = _stochastic(climate, climate.station)
    elif climate.mode == "daymet":
        climate.days = _daymet(climate, uploaded)
    elif climate.mode == "single-storm":
        from weppdemo.climate import single_storm

        climate.days = single_storm.build(climate.start_year, climate.storm)
    elif climate.mode == "heuristic-multiple":
        from weppdemo.climate import heuristic

        climate.stations = heuristic.rank_stations(stations(), climate.station, 3)
        climate.days = heuristic.blend([_stochastic(climate, name) for name in climate.stations])
        climate.factors = heuristic.hillslope_factors(hillslopes)
    else:
        raise UserError(f"{climate.mode!r} is not a climate mode; choose one of {', '.join(MODES)}")


def _stochastic(climate: Climate, station: str) -> list[dict[str, Any]]:
    from weppdemo.climate import stochastic

    return stochastic.generate(stations()[station], climate.start_year, climate.years, climate.seed)


def _daymet(climate: Climate, uploaded: str | None) -> list[dict[str, Any]]:
    from weppdemo.climate import daymet

    if uploaded is None:
        return daymet.synthesise(stations()[climate.station], climate.start_year, climate.years)
    return daymet.fill_gaps(daymet.parse_cli(uploaded))
