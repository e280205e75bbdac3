"""A run as a whole: fork it, archive it."""

from __future__ import annotations

from flask import Response, request

from weppdemo.nodb.ron import Ron
from weppdemo.routes.common import current_run, flag, json_body, run_blueprint_for, started
from weppdemo.runid import RunId

blueprint = run_blueprint_for("project_api", __name__)


@blueprint.post("/rq/api/fork")
def fork() -> Response:
    """Copy the run. A form: `undisturbify`, and `target_runid` when the copy's id matters."""
    from weppdemo.rq import project_jobs

    run = current_run()
    wanted = request.form.get("target_runid", "")
    undisturbify = flag(request.form, "undisturbify")
    with Ron.edit(run) as ron:
        target = RunId.parse(wanted) if wanted else run.runid.numbered_fork(len(ron.forks) + 1)
        ron.forks.append(target.text)
    return started(project_jobs.fork, target.text, undisturbify, new_runid=target.text, undisturbify=undisturbify)


@blueprint.post("/rq/api/archive")
def archive() -> Response:
    """Pack the run into a zip file; JSON with a `comment`."""
    from weppdemo.rq import project_jobs

    comment = str(json_body().get("comment", ""))[:200]
    return started(project_jobs.archive, comment)
