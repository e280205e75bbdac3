"""Housekeeping for operators. No recorded session comes here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request

from weppdemo.errors import UserError
from weppdemo.nodb.ron import Ron
from weppdemo.runid import RunId
from weppdemo.settings import Settings
from weppdemo.workspace import Workspace

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.get("/runs")
def list_runs() -> Response:
    """All runs with their sizes."""
    runs = [describe(name) for name in run_names()]
    return jsonify(runs=runs, total=sum(run["bytes"] for run in runs))


def run_names() -> list[str]:
    """Names of the plain runs, sorted."""
    root = Settings.from_env().runs_dir
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def describe(name: str) -> dict[str, Any]:
    """A run's name, title and size in bytes."""
    workspace = Workspace.open(name)
    size = sum(path.stat().st_size for path in workspace.directory.rglob("*") if path.is_file())
    return {"runid": name, "title": Ron.load(workspace).name, "bytes": size}


@blueprint.delete("/runs/<name>")
def delete_run(name: str) -> Response:
    """Delete a run for good; the name must be repeated in the query."""
    if request.args.get("confirm") != name:
        raise UserError("repeat the run's name in ?confirm=")
    runid = RunId.parse(name)
    if runid.is_playback:
        raise UserError("sandboxes belong to the player")
    shutil.rmtree(Workspace.open(name).directory)
    return jsonify(success=True)


@dataclass(frozen=True)
class Quota:
    """How much a run may hold, in bytes."""

    limit: int

    def exceeded_by(self, name: str) -> int:
        """Bytes above the limit; 0 when the run is within it."""
        return max(0, int(describe(name)["bytes"]) - self.limit)


@blueprint.get("/quota")
def over_quota() -> Response:
    """Runs above the quota given in megabytes."""
    quota = Quota(int(request.args.get("megabytes", "100")) * 1_000_000)
    return jsonify(over={name: quota.exceeded_by(name) for name in run_names() if quota.exceeded_by(name)})
