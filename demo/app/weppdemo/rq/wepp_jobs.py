"""Jobs that run the erosion model and what builds on it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from weppdemo.model.assemble import hillslope_inputs
from weppdemo.model.hillslope import run_hillslope
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.watershed import Watershed
from weppdemo.nodb.wepp import Wepp
from weppdemo.queues import enqueue
from weppdemo.rq.support import job_connection, progress
from weppdemo.workspace import Workspace


def run_wepp(runid: str) -> str:
    """Enqueue hillslopes, then routing, then the peak flow, each after the one before."""
    connection = job_connection()
    hillslopes = enqueue(connection, run_hillslopes, runid)
    routed = enqueue(connection, run_watershed, runid, after=[hillslopes])
    enqueue(connection, run_peak_flow, runid, after=[routed])
    return f"{runid}: 3 jobs"


def run_hillslopes(runid: str) -> int:
    """Every hillslope through the model, in a pool of threads; returns how many."""
    workspace = Workspace.open(runid)
    inputs = hillslope_inputs(workspace)
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="hillslope") as pool:
        results = list(pool.map(run_hillslope, inputs))
    with Wepp.edit(workspace) as wepp:
        wepp.finished = False
        wepp.hillslopes = {
            str(given.hillslope.id): result for given, result in zip(inputs, results, strict=True)
        }
    progress(workspace, "run_hillslopes")
    return len(results)


def run_watershed(runid: str) -> dict[str, Any]:
    """Route water and sediment to the outlet; returns the outlet's totals."""
    from weppdemo.model import routing

    workspace = Workspace.open(runid)
    watershed = Watershed.load(workspace)
    with Wepp.edit(workspace) as wepp:
        wepp.channels = routing.route(
            watershed.channel_objects(), watershed.hillslope_objects(), wepp.results(), wepp.critical_shear
        )
        if wepp.baseflow:
            wepp.channels["outlet"] = routing.baseflow(wepp.channels, watershed.area)
        outlet = dict(wepp.channels["1"])
    progress(workspace, "run_watershed")
    return outlet


def run_peak_flow(runid: str) -> dict[str, float]:
    """Ask the peak-flow program, a process of its own; raises `CalledProcessError` when it fails."""
    workspace = Workspace.open(runid)
    watershed = Watershed.load(workspace)
    hillslopes = watershed.hillslope_objects()
    results = Wepp.load(workspace).results()
    storm = Climate.load(workspace).storm
    given = {
        "area": watershed.area,
        "length": max(1.0, sum(hillslope.length for hillslope in hillslopes) / 2.0),
        "slope": sum(hillslope.slope for hillslope in hillslopes) / len(hillslopes),
        "runoff": max(row["largest_runoff"] for row in results.values()),
        "duration": storm.get("duration", 6.0),
    }
    source, target = workspace.path("wepp", "peak_in.json"), workspace.path("wepp", "peak_out.json")
    source.write_text(json.dumps(given), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "weppdemo.tools.peak_flow", str(source), str(target)],
        check=True,
        timeout=120,
    )
    with Wepp.edit(workspace) as wepp:
        wepp.peak = json.loads(target.read_text(encoding="utf-8"))
        wepp.finished = True
        peak = dict(wepp.peak)
    progress(workspace, "run_peak_flow")
    return peak
