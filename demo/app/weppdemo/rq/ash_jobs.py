"""The ash model as a job."""

from __future__ import annotations

from weppdemo.model.ash_transport import depth_from_severity, load_from_raster, transport
from weppdemo.nodb.ash import Ash
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.watershed import Watershed
from weppdemo.rq.support import progress
from weppdemo.terrain.grid import read_ascii
from weppdemo.workspace import Workspace


def run_ash(runid: str) -> dict[str, float]:
    """Ash transport of every hillslope; returns the sums in kg."""
    workspace = Workspace.open(runid)
    severity = Landuse.load(workspace).severity
    days = Climate.load(workspace).daily()
    hillslopes = Watershed.load(workspace).hillslope_objects()
    with Ash.edit(workspace) as ash:
        raster = read_ascii(workspace.upload_path("ash")) if ash.load_source == "map" else None
        ash.results = {}
        for hillslope in hillslopes:
            burned = severity.get(str(hillslope.id), 0)
            kind, depth = depth_from_severity(burned, ash.black_depth, ash.white_depth)
            if raster is not None and kind != "none":
                depth = load_from_raster(hillslope, raster)
            ash.results[str(hillslope.id)] = transport(hillslope, kind, depth, days, ash.fire_month)
        keys = ("initial", "wind", "water", "remaining")
        sums = {key: round(sum(row[key] for row in ash.results.values()), 1) for key in keys}
    progress(workspace, "run_ash")
    return sums
