"""Bringing together what the run's documents say about each hillslope."""

from __future__ import annotations

from weppdemo.catalog import cover_class
from weppdemo.climate.series import erosivity, spread
from weppdemo.model.hillslope import HillslopeInput
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.workspace import Workspace


def hillslope_inputs(workspace: Workspace, cover: dict[str, str] | None = None) -> list[HillslopeInput]:
    """The model's input for every hillslope; `cover` replaces the run's own land use (scenarios)."""
    watershed = Watershed.load(workspace)
    landuse = Landuse.load(workspace)
    soils = Soils.load(workspace)
    climate = Climate.load(workspace)
    days = climate.daily()
    rain_power = erosivity(days)
    temperature = [entry["temperature"] for entry in days]
    years = len({entry["year"] for entry in days})
    inputs: list[HillslopeInput] = []
    for hillslope in watershed.hillslope_objects():
        key = str(hillslope.id)
        name = landuse.cover_of(hillslope.id) if cover is None else cover[key]
        soils.texture_of(hillslope.id)
        inputs.append(
            HillslopeInput(
                hillslope=hillslope,
                cover=cover_class(name),
                erodibility=soils.erodibility[key],
                erosivity=rain_power,
                rain=spread(climate.factors, days, key),
                temperature=temperature,
                years=years,
                rap_cover=landuse.rap.get(key, []),
            )
        )
    return inputs
