"""Channels and hillslopes as GeoJSON, for the map of the run page."""

from __future__ import annotations

import json
from typing import Any

from weppdemo.nodb.watershed import Watershed
from weppdemo.terrain.grid import Grid
from weppdemo.workspace import Workspace, write_atomically


def feature(geometry: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    """One GeoJSON feature."""
    return {
        "type": "Feature",
        "geometry": {"type": geometry, "coordinates": coordinates},
        "properties": properties,
    }


def collection(features: list[dict[str, Any]]) -> str:
    """A feature collection as text."""
    return json.dumps({"type": "FeatureCollection", "features": features})


def write_channels(workspace: Workspace, grid: Grid) -> None:
    """`resources/channels.geojson`: a line per channel, running downstream."""
    features = [
        feature("LineString", [grid.centre(cell) for cell in channel.cells], {"id": channel.id, "order": channel.order})
        for channel in Watershed.load(workspace).channel_objects()
    ]
    write_atomically(workspace.path("resources", "channels.geojson"), collection(features))


def write_subcatchments(workspace: Workspace, grid: Grid) -> None:
    """`resources/subcatchments.geojson`: the cells of each hillslope as points."""
    features = [
        feature("MultiPoint", [grid.centre(cell) for cell in hillslope.cells], hillslope.as_row())
        for hillslope in Watershed.load(workspace).hillslope_objects()
    ]
    write_atomically(workspace.path("resources", "subcatchments.geojson"), collection(features))
