"""Profiles that do one thing each, cut out of a recorded one: a test that stops work in its middle needs
to know whose work it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.oracle import surroundings

# Its `run/` holds a terrain and a run that is set up: the first request writes nothing.
SOURCE = "legacy-palouse"

# One job that edits the run's document `ron`, and no request that does.
JOB = "one-job"
# One request that edits `ron`, and no job.
REQUEST = "one-request"
# One page.
PAGE = "one-page"
# As the first, for those who only want to see that everything works.
PROBE = "probe"

_Wanted = Sequence[tuple[str, str]]

_CUTS: dict[str, _Wanted] = {
    JOB: [("GET", "/legacy/"), ("POST", "/rq/api/archive"), ("GET", "/query/project")],
    REQUEST: [("GET", "/legacy/"), ("PUT", "/tasks/notes"), ("GET", "/query/project")],
    PAGE: [("GET", "/legacy/")],
    PROBE: [("GET", "/legacy/"), ("POST", "/rq/api/archive"), ("GET", "/query/project")],
}


def write_all(root: Path) -> None:
    """Write the demo's profiles and the little ones into `root`."""
    for slug in surroundings.slugs():
        shutil.copytree(surroundings.PROFILES / slug, root / slug)
    for slug, wanted in _CUTS.items():
        cut(root / slug, wanted)


def cut(directory: Path, wanted: _Wanted) -> Path:
    """Write a profile with only those requests (method, ending of the path); returns its directory."""
    source = surroundings.PROFILES / SOURCE
    lines = (source / "capture" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _is_wanted(json.loads(line), wanted)]
    assert len(kept) == 2 * len(wanted), f"{SOURCE} no longer holds each of {wanted} once"
    (directory / "capture").mkdir(parents=True)
    (directory / "capture" / "events.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    shutil.copytree(source / "run", directory / "run")
    return directory


def _is_wanted(event: dict[str, str], wanted: _Wanted) -> bool:
    path = urlsplit(event["endpoint"]).path
    return any(event["method"] == method and path.endswith(ending) for method, ending in wanted)
