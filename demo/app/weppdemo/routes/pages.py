"""The pages a person sees first."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from weppdemo.catalog import config_names, run_config
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.watershed import Watershed
from weppdemo.routes.common import current_run, json_body, run_blueprint_for, set_up
from weppdemo.workspace import Workspace

blueprint = Blueprint("pages", __name__)
run_blueprint = run_blueprint_for("run_pages", __name__)


@blueprint.get("/")
def home() -> str:
    """The configurations to choose from."""
    return render_template("home.html", configs=config_names())


@blueprint.post("/create/<config_name>")
def create(config_name: str) -> BaseResponse:
    """Make a run with the id in the form, and go there."""
    run_config(config_name)
    workspace = Workspace.create(request.form.get("name", ""))
    set_up(workspace, config_name)
    return redirect(url_for("run_pages.run_page", runid=workspace.runid.text, config=config_name))


@run_blueprint.get("/")
def run_page() -> str:
    """The run's page."""
    run = current_run()
    ron = Ron.load(run)
    return render_template("run.html", run=run, ron=ron, watershed=Watershed.load(run))


@run_blueprint.post("/tasks/set_name")
def set_name() -> Response:
    """Name the run."""
    with Ron.edit(current_run()) as ron:
        ron.name = str(json_body().get("name", ""))[:200]
    return jsonify(success=True)


@run_blueprint.post("/tasks/set_scenario")
def set_scenario() -> Response:
    """Say which scenario the run is."""
    with Ron.edit(current_run()) as ron:
        ron.scenario = str(json_body().get("scenario", ""))[:200]
    return jsonify(success=True)


@run_blueprint.put("/tasks/notes")
def put_notes() -> Response:
    """Replace the run's notes with the request's text."""
    with Ron.edit(current_run()) as ron:
        ron.notes = request.get_data(as_text=True)
    return jsonify(success=True, length=len(ron.notes))


@run_blueprint.post("/tasks/set_units")
def set_units() -> Response:
    """Choose the units of the reports."""
    units = str(json_body().get("units", ""))
    with Ron.edit(current_run()) as ron:
        ron.units = "english" if units == "english" else "metric"
    return jsonify(success=True, units=ron.units)
