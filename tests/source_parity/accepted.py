"""Differences that are known and explained: `accepted.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
#: At most so many entries in 100,000 statements.
LIMIT = 20


@dataclass(frozen=True, order=True)
class Difference:
    """Something about a line that the two don't agree on."""

    package: str
    file: str
    line: int
    #: `3.12`
    python: str
    #: What it is about: `statement`, `excluded`, `qualname`, …
    what: str
    #: What they have and what we have, for people; no part of its identity.
    detail: str = ""

    def known(self) -> Difference:
        """The same as it stands in the list of accepted differences."""
        return Difference(self.package, self.file, self.line, self.python, self.what)

    def __str__(self) -> str:
        return f"{self.package} {self.file}:{self.line} on {self.python}: {self.what}: {self.detail}"


def read(file: Path = HERE / "accepted.toml") -> dict[Difference, str]:
    """Read the accepted differences and their mechanisms.

    Raises:
        ValueError: An entry is not about one line of one file under one Python, or doesn't say why.
    """
    accepted: dict[Difference, str] = {}
    for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("difference", []):
        if set(entry) != {"package", "file", "line", "python", "what", "mechanism"}:
            raise ValueError(f"{file}: an entry has package, file, line, python, what and mechanism: {entry}")
        if type(entry["line"]) is not int or any(sign in entry["file"] for sign in "*?["):
            raise ValueError(f"{file}: an entry is about one line of one file: {entry}")
        if len(entry["mechanism"]) < 20:
            raise ValueError(f"{file}: an entry says why: {entry}")
        mechanism = entry.pop("mechanism")
        difference = Difference(**entry)
        if difference in accepted:
            raise ValueError(f"{file}: twice: {difference}")
        accepted[difference] = mechanism
    return accepted
