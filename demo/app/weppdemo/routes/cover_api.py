"""Land use, soils, rangeland cover."""

from __future__ import annotations

from flask import Response, request

from weppdemo.errors import UserError
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.routes.common import current_run, json_body, number, run_blueprint_for, save_upload, started

blueprint = run_blueprint_for("cover_api", __name__)

_MODES = ("gridded", "single", "upload")


@blueprint.post("/rq/api/build_landuse")
def build_landuse() -> Response:
    """A form: the mode, the class of the single mode, and the raster of the upload mode."""
    from weppdemo.rq import cover_jobs

    run = current_run()
    Watershed.load(run).hillslope_objects()
    mode = request.form.get("landuse_mode", "gridded")
    if mode not in _MODES:
        raise UserError(f"landuse_mode: choose one of {', '.join(_MODES)}")
    if mode == "upload":
        save_upload("input_upload_landuse", "landuse")
    with Landuse.edit(run) as landuse:
        landuse.mode = mode
        landuse.single = request.form.get("landuse_single_selection", landuse.single)
    return started(cover_jobs.build_landuse)


@blueprint.post("/rq/api/build_soils")
def build_soils() -> Response:
    """Gridded soils, or the same loam everywhere."""
    from weppdemo.rq import cover_jobs

    body = json_body()
    with Soils.edit(current_run()) as soils:
        soils.mode = "single" if body.get("mode") == "single" else "gridded"
        soils.depth_factor = number(body, "depth_factor", soils.depth_factor)
    return started(cover_jobs.build_soils)


@blueprint.post("/rq/api/build_rap_ts")
def build_rap_ts() -> Response:
    """Rangeland cover for the years of the climate."""
    from weppdemo.rq import cover_jobs

    return started(cover_jobs.build_rap_ts)
