"""Choosing and building the climate."""

from __future__ import annotations

from flask import Response, jsonify

from weppdemo.catalog import stations
from weppdemo.errors import UserError
from weppdemo.nodb.climate import Climate
from weppdemo.routes.common import current_run, json_body, number, run_blueprint_for, started

blueprint = run_blueprint_for("climate_api", __name__)


@blueprint.post("/tasks/set_climatestation")
def set_climatestation() -> Response:
    """Choose the weather station."""
    name = str(json_body().get("station", ""))
    if name not in stations():
        raise UserError(f"there is no station {name!r}")
    with Climate.edit(current_run()) as climate:
        climate.station = name
    return jsonify(success=True, station=name)


@blueprint.post("/tasks/set_climate_mode")
def set_climate_mode() -> Response:
    """Choose how the climate is made."""
    from weppdemo.climate.builder import MODES

    mode = str(json_body().get("mode", ""))
    if mode not in MODES:
        raise UserError(f"{mode!r} is not a climate mode; choose one of {', '.join(MODES)}")
    with Climate.edit(current_run()) as climate:
        climate.mode = mode
    return jsonify(success=True, mode=mode)


@blueprint.post("/rq/api/build_climate")
def build_climate() -> Response:
    """Build the daily series. A storm's numbers are taken as they come: the job judges them."""
    from weppdemo.rq import climate_jobs

    body = json_body()
    with Climate.edit(current_run()) as climate:
        climate.years = int(number(body, "years", climate.years))
        climate.start_year = int(number(body, "start_year", climate.start_year))
        climate.seed = int(number(body, "seed", climate.seed))
        if climate.mode == "single-storm":
            storm = body.get("storm", {})
            climate.storm = {key: number(storm, key, 0.0) for key in ("depth", "duration", "peak")}
    return started(climate_jobs.build_climate)
