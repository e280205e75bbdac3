"""Scenarios: the model again with other covers, each in a job of its own, then a comparison."""

from __future__ import annotations

from typing import Any

from weppdemo import landcover
from weppdemo.model.assemble import hillslope_inputs
from weppdemo.model.hillslope import run_hillslope
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.omni import Omni
from weppdemo.nodb.watershed import Watershed
from weppdemo.nodb.wepp import Wepp
from weppdemo.queues import enqueue
from weppdemo.rq.support import job_connection, progress
from weppdemo.terrain.grid import read_ascii
from weppdemo.workspace import Workspace


def run_omni(runid: str) -> int:
    """One job per scenario, side by side, and one that compares them when all are done."""
    connection = job_connection()
    scenarios = Omni.load(Workspace.open(runid)).scenarios
    jobs = [enqueue(connection, run_scenario, runid, index) for index in range(len(scenarios))]
    enqueue(connection, compare_scenarios, runid, after=jobs)
    return len(jobs)


def run_scenario(runid: str, index: int) -> dict[str, float]:
    """The model under one scenario's cover; returns its totals."""
    workspace = Workspace.open(runid)
    scenario = Omni.load(workspace).scenarios[index]
    cover = scenario_cover(workspace, scenario)
    results = [run_hillslope(given) for given in hillslope_inputs(workspace, cover)]
    totals = {
        "runoff_m3": round(sum(row["runoff_m3"] for row in results), 2),
        "sediment": round(sum(row["sediment"] for row in results), 2),
    }
    with Omni.edit(workspace) as omni:
        omni.results[scenario["name"]] = totals
    progress(workspace, "run_scenario")
    return totals


def scenario_cover(workspace: Workspace, scenario: dict[str, Any]) -> dict[str, str]:
    """The cover of each hillslope under a scenario; unknown treatments leave it as it is."""
    cover = Landuse.load(workspace).cover
    treatment = scenario["treatment"]
    if treatment == "uniform":
        return dict.fromkeys(cover, scenario["cover"])
    if treatment == "burn":
        hillslopes = Watershed.load(workspace).hillslope_objects()
        severity = landcover.burn_severity(hillslopes, read_ascii(workspace.upload_path("omni")))
        return landcover.apply_burn(cover, severity, {})
    if treatment == "mulch":
        return {hillslope: "mulch" if name.startswith("burn") else name for hillslope, name in cover.items()}
    if treatment == "thinning":
        return {hillslope: thinned(name) for hillslope, name in cover.items()}
    return cover


def thinned(name: str) -> str:
    """What a cover becomes when its trees are thinned."""
    return {"forest": "young_forest", "young_forest": "shrub"}.get(name, name)


def compare_scenarios(runid: str) -> list[dict[str, Any]]:
    """Each scenario's sediment against the base run's, worst first."""
    workspace = Workspace.open(runid)
    base = Wepp.load(workspace).totals()["sediment_kg"]
    with Omni.edit(workspace) as omni:
        rows = [
            {"name": name, "sediment": result["sediment"], "change": round(result["sediment"] - base, 2)}
            for name, result in sorted(omni.results.items())
        ]
        omni.comparison = sorted(rows, key=lambda row: (-row["change"], row["name"]))
        comparison = list(omni.comparison)
    progress(workspace, "compare_scenarios")
    return comparison
