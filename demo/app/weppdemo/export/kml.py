"""Channels as KML, for globe viewers."""

from __future__ import annotations

from xml.sax.saxutils import escape

from weppdemo.terrain.grid import Grid
from weppdemo.terrain.network import Channel


def placemark(name: str, points: list[tuple[float, float]]) -> str:
    """One line on the globe."""
    path = " ".join(f"{east:.1f},{north:.1f},0" for east, north in points)
    return (
        f"<Placemark><name>{escape(name)}</name>"
        f"<LineString><coordinates>{path}</coordinates></LineString></Placemark>"
    )


def document(title: str, grid: Grid, channels: list[Channel]) -> str:
    """A KML document with all channels."""
    marks = [
        placemark(f"channel {channel.id}", [grid.centre(cell) for cell in channel.cells])
        for channel in channels
    ]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>{escape(title)}</name>{''.join(marks)}</Document></kml>\n"
    )
