"""Jobs on a run as a whole: fork it, archive it."""

from __future__ import annotations

import shutil

from weppdemo.nodb.landuse import Landuse
from weppdemo.nodb.ron import Ron
from weppdemo.rq.support import progress
from weppdemo.workspace import Workspace


def fork(runid: str, target: str, undisturbify: bool) -> str:
    """Copy a run to the run `target`; `undisturbify` takes the fire back out of the copy."""
    source = Workspace.open(runid)
    copy = Workspace.create(target)
    ignored = shutil.ignore_patterns("locks", "archives", ".*")
    shutil.copytree(source.directory, copy.directory, dirs_exist_ok=True, ignore=ignored)
    with Ron.edit(copy) as ron:
        ron.name = f"{ron.name} (fork)"
        ron.forks = []
    if undisturbify:
        with Landuse.edit(copy) as landuse:
            landuse.has_sbs = False
            landuse.severity = {}
    progress(source, "fork")
    return target


def archive(runid: str, comment: str) -> str:
    """Pack the run into a zip file beside its other archives; returns the file's name."""
    from weppdemo.export.archive import pack

    workspace = Workspace.open(runid)
    with Ron.edit(workspace) as ron:
        name = f"archive-{len(ron.archives) + 1:03}.zip"
        members = pack(workspace, name)
        ron.archives.append({"name": name, "comment": comment, "members": members})
    progress(workspace, "archive")
    return name
