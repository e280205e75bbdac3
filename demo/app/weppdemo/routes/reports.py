"""Pages with results."""

from __future__ import annotations

from flask import render_template

from weppdemo.nodb.ash import Ash
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.omni import Omni
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.watershed import Watershed
from weppdemo.nodb.wepp import Wepp
from weppdemo.routes.common import current_run, run_blueprint_for
from weppdemo.units import shown

blueprint = run_blueprint_for("reports", __name__)


@blueprint.get("/report/watershed")
def watershed_report() -> str:
    """Channels and hillslopes."""
    run = current_run()
    watershed = Watershed.load(run)
    rows = [hillslope.as_row() for hillslope in watershed.hillslope_objects()]
    return render_template("watershed.html", ron=Ron.load(run), watershed=watershed, rows=rows)


@blueprint.get("/report/climate")
def climate_report() -> str:
    """Rain by year and month."""
    run = current_run()
    climate = Climate.load(run)
    months = [
        round(sum(entry["rain"] for entry in climate.daily() if entry["month"] == month), 1)
        for month in range(1, 13)
    ]
    return render_template("climate.html", ron=Ron.load(run), climate=climate, months=months)


@blueprint.get("/report/storm")
def storm_report() -> str:
    """The single storm, hour by hour."""
    from weppdemo.climate.single_storm import hyetograph

    run = current_run()
    climate = Climate.load(run)
    bars = hyetograph(climate.storm["depth"], climate.storm["duration"])
    return render_template("storm.html", ron=Ron.load(run), storm=climate.storm, bars=bars)


@blueprint.get("/report/wepp")
def wepp_report() -> str:
    """The model's totals in the run's units."""
    run = current_run()
    ron, wepp = Ron.load(run), Wepp.load(run)
    totals = wepp.totals()
    english = ron.units == "english"
    lines = {
        "Sediment": shown(totals["sediment_kg"], "kg", english),
        "Worst hillslope": f"{totals['worst_hillslope']}: {shown(totals['worst_soil_loss'], 't/ha', english)}",
        "Runoff": shown(totals["runoff_m3"], "m³", english),
        "Peak flow": f"{wepp.peak['peak_m3s']} m³/s after {wepp.peak['time_to_peak_h']} h",
    }
    return render_template("wepp.html", ron=ron, lines=lines, shares=Landuse.load(run).shares())


@blueprint.get("/report/ash")
def ash_report() -> str:
    """Ash by hillslope."""
    run = current_run()
    return render_template("ash.html", ron=Ron.load(run), ash=Ash.load(run))


@blueprint.get("/report/omni")
def omni_report() -> str:
    """Scenarios side by side."""
    run = current_run()
    return render_template("omni.html", ron=Ron.load(run), rows=Omni.load(run).comparison)
