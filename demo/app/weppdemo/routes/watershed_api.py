"""Terrain and delineation."""

from __future__ import annotations

import math

from flask import Response

from weppdemo.errors import UserError
from weppdemo.nodb.watershed import Watershed
from weppdemo.routes.common import current_run, json_body, number, run_blueprint_for, started

blueprint = run_blueprint_for("watershed_api", __name__)


@blueprint.post("/rq/api/fetch_dem_and_build_channels")
def fetch_dem_and_build_channels() -> Response:
    """Get the terrain and find its channels."""
    from weppdemo.rq import terrain_jobs

    body = json_body()
    with Watershed.edit(current_run()) as watershed:
        watershed.csa = number(body, "csa", watershed.csa)
        watershed.method = str(body.get("method", watershed.method))
        watershed.outlet_chosen = False
    return started(terrain_jobs.fetch_dem_and_build_channels)


@blueprint.post("/rq/api/set_outlet")
def set_outlet() -> Response:
    """Move the outlet to the channel cell nearest to a map position, and delineate anew."""
    from weppdemo.rq import terrain_jobs
    from weppdemo.terrain.grid import read_ascii

    run, body = current_run(), json_body()
    grid = read_ascii(run.path("dem", "dem.asc"))
    wanted = (number(body, "easting", math.nan), number(body, "northing", math.nan))
    if math.isnan(wanted[0]) or math.isnan(wanted[1]):
        raise UserError("easting and northing are needed")
    with Watershed.edit(run) as watershed:
        cells = [cell for channel in watershed.channel_objects() for cell in channel.cells]
        watershed.outlet = min(cells, key=lambda cell: (math.dist(grid.centre(cell), wanted), cell))
        watershed.outlet_chosen = True
    return started(terrain_jobs.build_channels, outlet=watershed.outlet)


@blueprint.post("/rq/api/build_subcatchments")
def build_subcatchments() -> Response:
    """Make the hillslopes."""
    from weppdemo.rq import terrain_jobs

    Watershed.load(current_run()).channel_objects()
    return started(terrain_jobs.build_subcatchments)
