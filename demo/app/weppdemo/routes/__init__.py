"""HTTP routes of a run, one blueprint per concern."""

from __future__ import annotations

from flask import Blueprint

from weppdemo.routes import (
    climate_api,
    cover_api,
    exports,
    model_api,
    pages,
    project_api,
    queries,
    reports,
    status,
    uploads,
    watershed_api,
)

ALL_BLUEPRINTS: tuple[Blueprint, ...] = (
    status.blueprint,
    pages.blueprint,
    pages.run_blueprint,
    watershed_api.blueprint,
    cover_api.blueprint,
    climate_api.blueprint,
    model_api.blueprint,
    project_api.blueprint,
    uploads.blueprint,
    queries.blueprint,
    reports.blueprint,
    exports.blueprint,
)
