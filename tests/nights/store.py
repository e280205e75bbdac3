"""Where a CI system keeps runs of workflows and their artifacts; and the `gh` that downloads them.

As a program it is `gh`, as far as the generated workflows use it. It needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


class Store:
    """Runs of workflows with their artifacts, in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "runs.json"
        root.mkdir(parents=True, exist_ok=True)

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the latest first."""
        if not self.index.is_file():
            return []
        found: list[dict[str, Any]] = json.loads(self.index.read_text(encoding="utf-8"))
        return sorted(found, key=lambda run: int(run["id"]), reverse=True)

    def begin(self, workflow: str) -> int:
        """A new run of a workflow's file; its number."""
        runs = self.runs()
        number = 1 + max((int(run["id"]) for run in runs), default=0)
        runs.append({"id": number, "workflow": workflow, "created": datetime.now(UTC).isoformat()})
        self.index.write_text(json.dumps(runs), encoding="utf-8")
        return number

    def a_day_passes(self) -> None:
        """Make all runs a day older."""
        runs = self.runs()
        for run in runs:
            run["created"] = (datetime.fromisoformat(run["created"]) - timedelta(days=1)).isoformat()
        self.index.write_text(json.dumps(runs), encoding="utf-8")

    def artifact(self, run: int, name: str) -> Path:
        """Where an artifact of a run is kept."""
        return self.root / str(run) / name

    def upload(self, run: int, name: str, source: Path) -> None:
        """Keep a file, or what is in a directory."""
        place = self.artifact(run, name)
        if source.is_dir():
            shutil.copytree(source, place)
        else:
            place.mkdir(parents=True)
            shutil.copy2(source, place)


def _list(store: Store, given: argparse.Namespace) -> int:
    runs = [run for run in store.runs() if run["workflow"] == given.workflow]
    if given.created:
        since = re.fullmatch(r">=(\S+)", given.created)
        assert since is not None, given.created
        runs = [run for run in runs if datetime.fromisoformat(run["created"]) >= datetime.fromisoformat(since[1])]
    numbers = [str(run["id"]) for run in runs[: given.limit]]
    assert given.json == "databaseId", given.json
    if given.jq == ".[0].databaseId // empty":
        numbers = numbers[:1]
    else:
        assert given.jq == ".[].databaseId", given.jq
    print("\n".join(numbers))
    return 0


def _download(store: Store, given: argparse.Namespace) -> int:
    place = store.artifact(given.id, given.name)
    if not place.is_dir():
        print(f"no artifact matches {given.name}", file=sys.stderr)
        return 1
    shutil.copytree(place, given.dir, dirs_exist_ok=True)
    return 0


def main() -> int:
    """`gh run list` and `gh run download`."""
    parser = argparse.ArgumentParser(prog="gh")
    run = parser.add_subparsers(required=True).add_parser("run").add_subparsers(required=True)
    listing = run.add_parser("list")
    for option in ("--workflow", "--created", "--json", "--jq"):
        listing.add_argument(option)
    listing.add_argument("--limit", type=int, required=True)
    listing.set_defaults(do=_list)
    download = run.add_parser("download")
    download.add_argument("id", type=int)
    download.add_argument("--name", required=True)
    download.add_argument("--dir", type=Path, required=True)
    download.set_defaults(do=_download)
    given = parser.parse_args()
    assert os.environ["GH_TOKEN"], "gh has no token"
    assert os.environ["GH_REPO"], "gh has no repository"
    return int(given.do(Store(Path(os.environ["NIGHTS_STORE"])), given))


if __name__ == "__main__":
    sys.exit(main())
