"""Files that a person gives to a run."""

from __future__ import annotations

from flask import Response, jsonify, request

from weppdemo import landcover
from weppdemo.nodb.landuse import Landuse
from weppdemo.queues import enqueue
from weppdemo.routes.common import current_run, redis_client, run_blueprint_for, save_upload
from weppdemo.terrain.grid import read_ascii

blueprint = run_blueprint_for("uploads", __name__)


@blueprint.post("/tasks/upload_dem")
def upload_dem() -> Response:
    """A terrain, as an ESRI ASCII grid; refused when it can't be read."""
    size = save_upload("input_upload_dem", "dem")
    grid = read_ascii(current_run().upload_path("dem"))
    return jsonify(success=True, bytes=size, rows=grid.nrows, cols=grid.ncols)


@blueprint.post("/tasks/upload_sbs")
def upload_sbs() -> Response:
    """A soil burn severity map, classes 0 to 3."""
    run = current_run()
    size = save_upload("input_upload_sbs", "sbs")
    grid = read_ascii(run.upload_path("sbs"))
    with Landuse.edit(run) as landuse:
        landuse.has_sbs = True
    burned = sum(value >= 1.0 for value in grid.values)
    return jsonify(success=True, bytes=size, burned_share=round(burned / len(grid.values), 3))


@blueprint.delete("/tasks/upload_sbs")
def remove_sbs() -> Response:
    """Take the burn severity map away again."""
    run = current_run()
    with Landuse.edit(run) as landuse:
        landuse.has_sbs = False
        landuse.severity = {}
    run.upload_path("sbs").unlink(missing_ok=True)
    return jsonify(success=True)


@blueprint.post("/tasks/upload_cover_transform")
def upload_cover_transform() -> Response:
    """Which cover to use for which burned cover, as CSV."""
    run = current_run()
    save_upload("input_upload_cover_transform", "cover_transform")
    transform = landcover.parse_transform(run.upload_path("cover_transform").read_text(encoding="utf-8"))
    with Landuse.edit(run) as landuse:
        landuse.transform = transform
    return jsonify(success=True, rules=len(transform))


@blueprint.post("/tasks/upload_cli")
def upload_cli() -> Response:
    """A climate file. Its summary is made in a job; the page polls for it as a resource, so that the
    answer holds no job id."""
    from weppdemo.rq import climate_jobs

    run = current_run()
    size = save_upload("input_upload_cli", "cli")
    enqueue(redis_client(), climate_jobs.summarise_cli, run.runid.text)
    return jsonify(success=True, bytes=size, filename_given="input_upload_cli" in request.files)
