"""Results as files. Tables are streamed: rows are made while the answer is already on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, stream_with_context

from weppdemo.errors import NotReady
from weppdemo.export import tables
from weppdemo.nodb.watershed import Watershed
from weppdemo.nodb.wepp import Wepp
from weppdemo.routes.common import current_run, run_blueprint_for
from weppdemo.workspace import Workspace

blueprint = run_blueprint_for("exports", __name__)

Rows = Callable[[Workspace], Iterator[list[Any]]]

_NOT_READY = ('{"success": false, "error": "not ready"}', 404)


def streamed(name: str, header: list[str], rows: Rows) -> Response:
    """A CSV answer; when its last byte is sent, the download is noted in the run's log."""
    run = current_run()
    response = Response(stream_with_context(tables.encode(header, rows(run))), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.call_on_close(lambda: note_download(run, name))
    return response


def note_download(run: Workspace, name: str) -> None:
    """Append the download to the run's log."""
    with run.path("log", "downloads.log").open("a", encoding="utf-8") as stream:
        stream.write(f"{name}\n")


@blueprint.get("/export/hillslopes.csv")
def hillslopes_csv() -> Response:
    """A row per hillslope."""
    Wepp.load(current_run()).results()
    return streamed("hillslopes.csv", tables.HILLSLOPE_HEADER, tables.hillslope_rows)


@blueprint.get("/export/channels.csv")
def channels_csv() -> Response:
    """A row per channel."""
    Wepp.load(current_run()).results()
    return streamed("channels.csv", tables.CHANNEL_HEADER, tables.channel_rows)


@blueprint.get("/export/climate.csv")
def climate_csv() -> Response:
    """A row per day."""
    return streamed("climate.csv", tables.CLIMATE_HEADER, tables.climate_rows)


@blueprint.get("/export/channels.kml")
def channels_kml() -> Response:
    """The channels for a globe viewer."""
    from weppdemo.export import kml
    from weppdemo.terrain.grid import read_ascii

    run = current_run()
    path = run.path("dem", "dem.asc")
    if not path.is_file():
        raise NotReady("there is no terrain yet")
    channels = Watershed.load(run).channel_objects()
    text = kml.document(run.runid.text, read_ascii(path), channels)
    return Response(text, mimetype="application/vnd.google-earth.kml+xml")


@blueprint.get("/export/archives/<name>")
def archive_listing(name: str) -> Response:
    """What an archive of this run holds."""
    from flask import jsonify

    from weppdemo.export.archive import listing
    from weppdemo.nodb.ron import Ron

    run = current_run()
    if name not in [entry["name"] for entry in Ron.load(run).archives]:
        raise NotReady(f"there is no archive {name!r}")
    return jsonify(name=name, members=listing(run, name))


@blueprint.get("/resources/<any('subcatchments.geojson','channels.geojson','cli_summary.json'):name>")
def resource(name: str) -> Response:
    """A map layer or summary; 404 until the job that makes it is done. The same lines run either way, so
    that how often a page polls does not show in what was executed."""
    path = current_run().path("resources", name)
    text, status = (path.read_text(encoding="utf-8"), 200) if path.is_file() else _NOT_READY
    return Response(text, status=status, mimetype="application/json")
