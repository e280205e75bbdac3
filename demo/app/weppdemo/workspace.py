"""A run's directory, opened for one request or one job."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weppdemo.errors import UnknownRun
from weppdemo.runid import RunId
from weppdemo.settings import Settings


@dataclass(frozen=True)
class Workspace:
    """A run and where its files lie."""

    runid: RunId
    directory: Path

    @classmethod
    def open(cls, text: str) -> Workspace:
        """Open the run with this id; a playback sandbox is made when it is missing."""
        runid = RunId.parse(text)
        directory = runid.directory(Settings.from_env())
        if runid.is_playback:
            directory.mkdir(parents=True, exist_ok=True)
        if not directory.is_dir():
            raise UnknownRun(f"there is no run {text!r}")
        return cls(runid, directory)

    @classmethod
    def create(cls, text: str) -> Workspace:
        """Make the directory of a new run, or open it when somebody made it before."""
        runid = RunId.parse(text)
        directory = runid.directory(Settings.from_env())
        directory.mkdir(parents=True, exist_ok=True)
        return cls(runid, directory)

    def path(self, *parts: str) -> Path:
        """A path below the run's directory; its parent directories exist afterwards."""
        path = self.directory.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def upload_path(self, kind: str) -> Path:
        """Where the uploaded file of this kind is kept; the name a browser sends is never used."""
        return self.path("uploads", kind)


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` in one step: a reader sees the old text or the new, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(temporary).replace(path)
