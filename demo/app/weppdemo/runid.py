"""Run ids and the directories behind them.

A run id comes from a URL and becomes part of a path, so `RunId.parse` is the only way to make one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from weppdemo.errors import UnknownRun
from weppdemo.settings import Settings

_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,95}")
_PLAYBACK = re.compile(
    r"profile;;(?P<kind>tmp|fork|archive);;"
    r"(?P<name>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-fork-[0-9]{1,4})?)"
)


@dataclass(frozen=True)
class RunId:
    """A valid run id: a plain name, or a playback sandbox (`profile;;tmp;;<uuid>`)."""

    text: str
    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> RunId:
        """Accept a well-formed id; raise `UnknownRun` for anything else."""
        playback = _PLAYBACK.fullmatch(text)
        if playback is not None:
            return cls(text, playback["kind"], playback["name"])
        if _PLAIN.fullmatch(text) is None:
            raise UnknownRun(f"{text!r} is not a run id")
        return cls(text, "plain", text)

    def directory(self, settings: Settings) -> Path:
        """Where this run's files lie; says nothing about whether they exist."""
        roots = {
            "plain": settings.runs_dir,
            "tmp": settings.playback_tmp_root,
            "fork": settings.playback_fork_root,
            "archive": settings.playback_archive_root,
        }
        return roots[self.kind] / self.name

    @property
    def is_playback(self) -> bool:
        """Whether a replay owns this run: its directory is made on first use."""
        return self.kind != "plain"

    def numbered_fork(self, number: int) -> RunId:
        """The id of this run's fork with that number. One rule for all kinds, so that a replay's fork
        is named from its sandbox exactly as a person's fork is named from their run."""
        return RunId.parse(f"{self.text}-fork-{number}")
