"""Result tables as CSV, a row at a time: large runs have tens of thousands of hillslopes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.nodb.wepp import Wepp
from weppdemo.workspace import Workspace


def encode(header: list[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    """CSV lines, made when they are asked for."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def hillslope_rows(workspace: Workspace) -> Iterator[list[Any]]:
    """One row per hillslope: what it is and what the model says."""
    landuse, soils = Landuse.load(workspace), Soils.load(workspace)
    results = Wepp.load(workspace).results()
    for hillslope in Watershed.load(workspace).hillslope_objects():
        result = results[str(hillslope.id)]
        yield [
            hillslope.id,
            round(hillslope.area / 10_000.0, 3),
            round(hillslope.slope, 4),
            landuse.cover_of(hillslope.id),
            soils.texture_of(hillslope.id),
            result["runoff"],
            result["soil_loss"],
            result["sediment"],
        ]


HILLSLOPE_HEADER = ["id", "area_ha", "slope", "cover", "texture", "runoff_mm", "soil_loss_t_ha", "sediment_kg"]


def channel_rows(workspace: Workspace) -> Iterator[list[Any]]:
    """One row per channel."""
    routed = Wepp.load(workspace).channels
    for channel in Watershed.load(workspace).channel_objects():
        totals = routed[str(channel.id)]
        yield [channel.id, channel.order, len(channel.cells), totals["runoff_m3"], totals["sediment"]]


CHANNEL_HEADER = ["id", "order", "cells", "runoff_m3", "sediment_kg"]


def climate_rows(workspace: Workspace) -> Iterator[list[Any]]:
    """One row per day."""
    for entry in Climate.load(workspace).daily():
        yield [f"{entry['year']}-{entry['month']:02}-{entry['day']:02}", entry["rain"], entry["temperature"]]


CLIMATE_HEADER = ["date", "rain_mm", "temperature_c"]
