"""Running the model, the ash model and scenarios."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from weppdemo.errors import UserError
from weppdemo.nodb.ash import Ash
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.omni import Omni
from weppdemo.nodb.wepp import Wepp
from weppdemo.routes.common import (
    current_run,
    flag,
    json_body,
    number,
    run_blueprint_for,
    save_upload,
    started,
)

blueprint = run_blueprint_for("model_api", __name__)


@blueprint.post("/rq/api/run_wepp")
def run_wepp() -> Response:
    """Run the erosion model."""
    from weppdemo.rq import wepp_jobs

    run, body = current_run(), json_body()
    Climate.load(run).daily()
    with Wepp.edit(run) as wepp:
        wepp.baseflow = flag(body, "baseflow")
        wepp.critical_shear = number(body, "critical_shear", wepp.critical_shear)
    return started(wepp_jobs.run_wepp)


@blueprint.post("/rq/api/run_ash")
def run_ash() -> Response:
    """A form: the month of the fire, the depths, and a map of ash depths if there is one."""
    from weppdemo.rq import ash_jobs

    mapped = "input_upload_ash_load" in request.files
    if mapped:
        save_upload("input_upload_ash_load", "ash")
    with Ash.edit(current_run()) as ash:
        ash.fire_month = int(number(request.form, "fire_month", ash.fire_month))
        ash.black_depth = number(request.form, "ini_black_depth", ash.black_depth)
        ash.white_depth = number(request.form, "ini_white_depth", ash.white_depth)
        ash.load_source = "map" if mapped else "depths"
    return started(ash_jobs.run_ash)


@blueprint.post("/rq/api/run_omni")
def run_omni() -> Response:
    """A form: the scenarios as JSON text, and the burn map of a scenario that burns."""
    from weppdemo.rq import omni_jobs

    scenarios = parse_scenarios(request.form.get("scenarios", ""))
    if any(scenario["treatment"] == "burn" for scenario in scenarios):
        save_upload("scenarios[0][sbs_file]", "omni")
    run = current_run()
    Wepp.load(run).results()
    with Omni.edit(run) as omni:
        omni.scenarios = scenarios
        omni.results = {}
    return started(omni_jobs.run_omni, scenarios=len(scenarios))


def parse_scenarios(text: str) -> list[dict[str, Any]]:
    """A JSON list of objects with a unique `name` and a `treatment`; raises `UserError` otherwise."""
    try:
        scenarios = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"scenarios: not JSON ({error.msg}, column {error.colno})") from None
    if not isinstance(scenarios, list) or not scenarios:
        raise UserError("scenarios: expected a list that is not empty")
    names: list[str] = []
    for scenario in scenarios:
        if not isinstance(scenario, dict) or not {"name", "treatment"} <= scenario.keys():
            raise UserError("scenarios: each needs a name and a treatment")
        names.append(str(scenario["name"]))
    if len(set(names)) != len(names):
        raise UserError("scenarios: two have the same name")
    return scenarios
