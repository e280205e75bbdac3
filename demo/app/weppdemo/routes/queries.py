"""Small questions that the run page asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request

from weppdemo.catalog import cover_classes, stations
from weppdemo.nodb.ash import Ash
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.omni import Omni
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.routes.common import current_run, number, run_blueprint_for
from weppdemo.terrain.grid import Grid, read_ascii

blueprint = run_blueprint_for("queries", __name__)


@blueprint.get("/query/watershed")
def watershed_summary() -> Response:
    """What was delineated."""
    watershed = Watershed.load(current_run())
    return jsonify(
        method=watershed.method,
        channels=len(watershed.channels),
        hillslopes=len(watershed.hillslopes),
        area_ha=round(watershed.area / 10_000.0, 2),
        relief=watershed.relief,
    )


@blueprint.get("/query/dem_stats")
def dem_stats() -> Response:
    """Heights and steepness of the terrain, computed side by side in two threads."""
    grid = read_ascii(current_run().path("dem", "dem.asc"))
    answers: dict[str, Any] = {}

    def compute(key: str, function: Callable[[Grid], float]) -> None:
        answers[key] = function(grid)

    threads = [
        threading.Thread(target=compute, args=("mean_height", mean_height)),
        threading.Thread(target=compute, args=("mean_slope", mean_slope)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return jsonify(dict(sorted(answers.items())))


def mean_height(grid: Grid) -> float:
    """Mean height in metres."""
    return round(sum(grid.values) / len(grid.values), 3)


def mean_slope(grid: Grid) -> float:
    """Mean of the steepest descents (m/m)."""
    total = 0.0
    for cell, height in enumerate(grid.values):
        descents = [(height - grid.values[other]) / distance for other, distance in grid.neighbours(cell)]
        total += max(0.0, max(descents))
    return round(total / len(grid.values), 4)


@blueprint.get("/query/cover_classes")
def query_cover_classes() -> Response:
    """The classes to choose from."""
    return jsonify([{"name": cover.name, "label": cover.label} for cover in cover_classes().values()])


@blueprint.get("/query/stations")
def query_stations() -> Response:
    """The weather stations, those above `min_elevation` metres."""
    lowest = number(request.args, "min_elevation", -1000.0)
    return jsonify([name for name, station in sorted(stations().items()) if station["elevation"] >= lowest])


@blueprint.get("/query/landuse")
def landuse_shares() -> Response:
    """How many hillslopes carry which cover."""
    landuse = Landuse.load(current_run())
    return jsonify(mode=landuse.mode, shares=landuse.shares(), burned=landuse.has_sbs)


@blueprint.get("/query/soils")
def soil_textures() -> Response:
    """How many hillslopes have which texture."""
    textures = list(Soils.load(current_run()).texture.values())
    return jsonify({name: textures.count(name) for name in sorted(set(textures))})


@blueprint.get("/query/climate")
def climate_summary() -> Response:
    """Rain by year."""
    climate = Climate.load(current_run())
    return jsonify(mode=climate.mode, stations=climate.stations, rain_mm=climate.annual_rain())


@blueprint.get("/query/ash")
def ash_summary() -> Response:
    """Ash that wind and water took, by hillslope."""
    return jsonify(Ash.load(current_run()).results)


@blueprint.get("/query/omni")
def omni_comparison() -> Response:
    """Scenarios against the base run."""
    return jsonify(Omni.load(current_run()).comparison)


@blueprint.get("/query/project")
def project_summary() -> Response:
    """Name, notes, forks and archives."""
    ron = Ron.load(current_run())
    return jsonify(name=ron.name, notes=ron.notes, forks=ron.forks, archives=ron.archives)


@blueprint.get("/query/units")
def query_units() -> Response:
    """The units of the reports, with their factors."""
    ron = Ron.load(current_run())
    if ron.units == "english":
        from weppdemo.units import ENGLISH

        return jsonify(units="english", factors=ENGLISH)
    return jsonify(units="metric", factors={})


@blueprint.get("/elevationquery/")
def elevation_query() -> Response:
    """The height under the mouse pointer: asked for dozens of times in a session."""
    grid = read_ascii(current_run().path("dem", "dem.asc"))
    east, north = number(request.args, "easting", 0.0), number(request.args, "northing", 0.0)
    return jsonify(elevation=grid.value_at(east, north))
