"""Jobs that make the weather."""

from __future__ import annotations

import json

from weppdemo.climate.builder import build
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.watershed import Watershed
from weppdemo.rq.support import progress
from weppdemo.workspace import Workspace, write_atomically


def build_climate(runid: str) -> dict[int, float]:
    """Build the daily series by the run's mode; returns rain by year.

    An impossible storm raises here, in the worker: the web page that takes the storm's numbers does not
    check them, and a recorded session keeps that mistake.
    """
    workspace = Workspace.open(runid)
    hillslopes = Watershed.load(workspace).hillslope_objects()
    upload = workspace.upload_path("cli")
    uploaded = upload.read_text(encoding="utf-8") if upload.is_file() else None
    with Climate.edit(workspace) as climate:
        build(climate, uploaded, hillslopes)
        annual = climate.annual_rain()
    progress(workspace, "build_climate")
    return annual


def summarise_cli(runid: str) -> int:
    """Summarise an uploaded climate file for the page that waits for it; returns the number of days."""
    from weppdemo.climate.daymet import parse_cli, summarise

    workspace = Workspace.open(runid)
    summary = summarise(parse_cli(workspace.upload_path("cli").read_text(encoding="utf-8")))
    write_atomically(workspace.path("resources", "cli_summary.json"), json.dumps(summary))
    return int(summary["days"])
