"""What `docker/` says, as data: Dockerfiles as instructions, the compose file with its variables filled in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.nights.runner import load
from tests.oracle import surroundings

ROOT = surroundings.REPOSITORY
DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "docker-compose.dev.yml"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))

_REFERENCE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: `COPY`, its flags, and the rest."""

    word: str
    flags: Mapping[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as words, in either form."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True)
class Stage:
    """What begins with `FROM`."""

    base: str
    name: str
    instructions: list[Instruction]

    def of(self, word: str) -> list[Instruction]:
        """Its instructions of one kind."""
        return [instruction for instruction in self.instructions if instruction.word == word]


def stages(dockerfile: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        flags = {}
        while option := re.match(r"\s*--([\w-]+)(?:=(\S+))?\s+", rest):
            flags[option[1]] = option[2] or ""
            rest = rest[option.end() :]
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base.strip(), name.strip(), []))
        else:
            found[-1].instructions.append(Instruction(word, flags, rest.strip()))
    return found


def compose(env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The compose file as `docker compose` sees it with these variables in its environment."""
    given = env or {}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        if isinstance(value, str):
            return _REFERENCE.sub(lambda found: given.get(found[1]) or found[2] or "", value)
        return value

    document: dict[str, Any] = filled(load(COMPOSE))
    return document


def variables_of_compose() -> set[str]:
    """The variables that the compose file is filled in with."""
    return {found[1] for found in _REFERENCE.finditer(COMPOSE.read_text(encoding="utf-8"))}


def env_file(path: Path) -> dict[str, str]:
    """The variables of an environment file that are set, and those that are commented out."""
    pairs = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(pairs)
