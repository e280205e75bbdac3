"""What the routes of a run share: opening the run, reading bodies, answering with a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request
from redis import Redis

from weppdemo.catalog import run_config
from weppdemo.errors import UserError
from weppdemo.nodb.climate import Climate
from weppdemo.nodb.ron import Ron
from weppdemo.nodb.soils import Soils
from weppdemo.nodb.watershed import Watershed
from weppdemo.queues import enqueue
from weppdemo.workspace import Workspace

RUN_PREFIX = "/runs/<runid>/<config>"


def run_blueprint_for(name: str, module: str) -> Blueprint:
    """A blueprint whose routes lie below a run."""
    return Blueprint(name, module, url_prefix=RUN_PREFIX)


def open_run() -> None:
    """Open the run that the URL names; routes outside a run pass. A new run is set up first."""
    arguments = request.view_args or {}
    if "runid" not in arguments:
        return
    workspace = Workspace.open(arguments.pop("runid"))
    config = arguments.pop("config")
    if Ron.load(workspace).config == "":
        set_up(workspace, config)
    g.workspace, g.config = workspace, config


def set_up(workspace: Workspace, config: str) -> None:
    """Give a new run its configuration's defaults."""
    defaults = run_config(config)
    with Watershed.edit(workspace) as watershed:
        watershed.method = defaults["watershed"]["method"]
        watershed.csa = defaults["watershed"]["csa"]
    with Soils.edit(workspace) as soils:
        soils.depth_factor = defaults["soils"]["depth_factor"]
    with Climate.edit(workspace) as climate:
        climate.mode = defaults["climate"]["mode"]
        climate.station = defaults["climate"]["station"]
        climate.years = defaults["climate"]["years"]
    with Ron.edit(workspace) as ron:
        ron.config = config
        ron.name = defaults["title"]


def current_run() -> Workspace:
    """The run that this request is about."""
    workspace: Workspace = g.workspace
    return workspace


def redis_client() -> Redis:
    """The app's Redis."""
    client: Redis = current_app.extensions["weppdemo.redis"]
    return client


def json_body() -> dict[str, Any]:
    """The body as a JSON object; raises `UserError` for anything else."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise UserError("expected a JSON object")
    return body


def number(values: Mapping[str, Any], key: str, default: float) -> float:
    """A number out of a body; raises `UserError` naming the key."""
    try:
        return float(values.get(key, default))
    except (TypeError, ValueError):
        raise UserError(f"{key}: expected a number") from None


def flag(values: Mapping[str, Any], key: str) -> bool:
    """A yes or no out of a JSON body or a form."""
    return str(values.get(key, "")).lower() in ("1", "true", "yes", "on")


def started(function: Callable[..., Any], *arguments: Any, **extra: Any) -> Response:
    """Enqueue a job for this run and answer with its id."""
    job = enqueue(redis_client(), function, current_run().runid.text, *arguments)
    return jsonify(success=True, job_id=job.id, **extra)


def save_upload(field: str, kind: str) -> int:
    """Keep the uploaded file of that form field; returns its size. Raises `UserError` when there is none."""
    upload = request.files.get(field)
    if upload is None:
        raise UserError(f"no file in the field {field!r}")
    path = current_run().upload_path(kind)
    upload.save(path)
    return path.stat().st_size
