"""The commands that documents tell people to type: what is in their `bash` blocks."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracle import surroundings

DOCS = surroundings.REPOSITORY / "docs"
_FENCE = re.compile(r"^\s*(`{3,})(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: Path
    #: Where its first line is.
    line: int
    language: str
    text: str

    def commands(self) -> list[Command]:
        """Its commands, with continued lines joined and comments left out. A here-document belongs to its command."""
        found: list[Command] = []
        lines = list(enumerate(self.text.splitlines(), start=self.line))
        while lines:
            number, text = lines.pop(0)
            text = text.strip()
            if not text or text.startswith("#"):
                continue
            while text.endswith("\\"):
                assert lines, f"{self.document}:{number}: the last line of a block is continued"
                text = text.removesuffix("\\") + lines.pop(0)[1].strip()
            if here := re.search(r"<<-?'?(\w+)'?", text):
                while lines:
                    _, more = lines.pop(0)
                    text += f"\n{more}"
                    if more.strip() == here[1]:
                        break
            found.append(Command(self.document, number, text))
        return found


@dataclass(frozen=True)
class Command:
    """One command of a document."""

    document: Path
    line: int
    text: str

    @property
    def needs_docker(self) -> bool:
        """Whether it talks to a Docker engine."""
        return re.search(r"^(\w+=\S+\s+)*docker\s", self.text) is not None

    def __str__(self) -> str:
        return f"{self.document.relative_to(surroundings.REPOSITORY)}:{self.line}: {self.text}"


def blocks(document: Path, language: str | None = None) -> list[Block]:
    """A document's fenced blocks, in order; of one language, if one is named."""
    found: list[Block] = []
    fence, begun, words, inside = "", 0, "", list[str]()
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        edge = _FENCE.match(line)
        if not fence and edge:
            fence, begun, words, inside = edge[1], number + 1, edge[2].strip(), []
        elif fence and edge and edge[1].startswith(fence) and not edge[2].strip():
            found.append(Block(document, begun, words, "\n".join(inside) + "\n"))
            fence = ""
        elif fence:
            inside.append(line)
    assert not fence, f"{document}:{begun - 1}: a block that does not end"
    return [block for block in found if language is None or block.language == language]


def commands(document: Path) -> list[Command]:
    """The commands of a document's `bash` blocks."""
    return [command for block in blocks(document, "bash") for command in block.commands()]


def script_of(page: Path) -> str:
    """The page's `bash` blocks as one script, that says in which block it failed; what needs an engine is left out."""
    return "\n".join([f"trap 'echo \"{page.name}:$block\" >&2' ERR", *map(_piece_of, blocks(page, "bash"))])


def _piece_of(block: Block) -> str:
    """One block."""
    commands = block.commands()
    mine = [command.text for command in commands if not command.needs_docker]
    text = block.text if len(mine) == len(commands) else "\n".join(mine)
    return f"block={block.line}\n{text}"


def every_document() -> list[Path]:
    """All that people are told to read, the customers' pages and the notes of each directory."""
    root = surroundings.REPOSITORY
    others = [*root.glob("*.md"), *(root / name / "README.md" for name in ("demo", "docker", "python", "requirements"))]
    return [*sorted(others), *sorted(DOCS.rglob("*.md"))]


def docker_commands() -> list[Command]:
    """Every command of every document that talks to an engine."""
    return [command for document in every_document() for command in commands(document) if command.needs_docker]


@functools.cache
def help_of(*path: str) -> str:
    """What the program says about itself, or about a command."""
    argv = [str(surroundings.program()), *path, "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def commands_in(text: str) -> set[str]:
    """The commands that a help text lists."""
    listed, _, _ = text.partition("\nCommands:\n")[2].partition("\n\n")
    return set(re.findall(r"^  (\S+)", listed, re.MULTILINE))


def unknown_to_program(words: Sequence[str]) -> str | None:
    """The first word of a `playtrace …` or `wctl …` that the program does not know: a command, or a long option of it.

    Nothing is run. What comes after ` -- ` is another program's.
    """
    path: list[str] = []
    text = help_of()
    rest = list(words[1 : words.index("--") if "--" in words else None])
    while rest and (known := commands_in(text)):
        if rest[0] not in known:
            return rest[0]
        path.append(rest.pop(0))
        text = help_of(*path)
    for word in rest:
        name = word.strip("[](),").split("=")[0]
        if name.startswith("--") and not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
            return name
    return None
