"""Jobs that choose land use and soils, and the rangeland cover through the years."""

from __future__ import annotations

from weppdemo import landcover
from weppdemo.catalog import run_config
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.rq.support import progress
from weppdemo.terrain.grid import read_ascii
from weppdemo.workspace import Workspace


def build_landuse(runid: str) -> dict[str, int]:
    """Cover by the chosen mode, burned where a severity map says so; returns the shares."""
    workspace = Workspace.open(runid)
    hillslopes = Watershed.load(workspace).hillslope_objects()
    config = run_config(Ron.load(workspace).config)
    with Landuse.edit(workspace) as landuse:
        if landuse.mode == "single":
            cover = landcover.single(hillslopes, landuse.single)
        elif landuse.mode == "upload":
            cover = landcover.from_raster(hillslopes, read_ascii(workspace.upload_path("landuse")))
        else:
            cover = landcover.by_elevation(hillslopes, config["landuse"]["bands"])
        if landuse.has_sbs:
            raster = read_ascii(workspace.upload_path("sbs"))
            landuse.severity = landcover.burn_severity(hillslopes, raster)
            cover = landcover.apply_burn(cover, landuse.severity, landuse.transform)
        landuse.cover = cover
        shares = landuse.shares()
    progress(workspace, "build_landuse")
    return shares


def build_soils(runid: str) -> int:
    """Texture and erodibility of each hillslope; returns how many textures occur."""
    from weppdemo.soilmap import TEXTURES, erodibility, texture_for

    workspace = Workspace.open(runid)
    hillslopes = Watershed.load(workspace).hillslope_objects()
    with Soils.edit(workspace) as soils:
        for hillslope in hillslopes:
            texture = "loam" if soils.mode == "single" else texture_for(hillslope)
            soils.texture[str(hillslope.id)] = texture
            soils.erodibility[str(hillslope.id)] = erodibility(TEXTURES[texture], soils.depth_factor)
        count = len(set(soils.texture.values()))
    progress(workspace, "build_soils")
    return count


def build_rap_ts(runid: str) -> float:
    """Yearly ground cover for the climate's years; returns the mean."""
    from weppdemo import rap

    workspace = Workspace.open(runid)
    hillslopes = Watershed.load(workspace).hillslope_objects()
    years = sorted({entry["year"] for entry in Climate.load(workspace).daily()})
    with Landuse.edit(workspace) as landuse:
        landuse.rap = rap.cover_series(hillslopes, landuse.cover, years)
        mean = rap.mean_cover(landuse.rap)
    progress(workspace, "build_rap_ts")
    return mean
