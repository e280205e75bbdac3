"""The quick-start's commands: those that need no Docker engine are run, the others are parsed and checked.

They run as they are written, but for addresses (the stack of the tests has free ports) and `/tmp`, which
becomes a directory of the test's own.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.oracle import surroundings
from tests.support import environment, playtrace, run

from stack import Stack  # isort: skip

DOCUMENT = surroundings.REPOSITORY / "docs" / "dev-notes" / "profile-coverage.md"


@dataclass(frozen=True)
class Command:
    """One command of the document."""

    line: int
    text: str

    @property
    def needs_docker(self) -> bool:
        """Whether it talks to a Docker engine."""
        return re.search(r"^(\w+=\S+\s+)*docker\s", self.text) is not None

    def __str__(self) -> str:
        return f"{DOCUMENT.name}:{self.line}: {self.text}"


def commands() -> list[Command]:
    """The commands of the bash blocks, with continued lines joined and comments left out."""
    found: list[Command] = []
    inside, begun, text = False, 0, ""
    for number, line in enumerate(DOCUMENT.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip().startswith("```"):
            inside = line.strip() == "```bash"
            continue
        if not inside or (not text and (not line.strip() or line.strip().startswith("#"))):
            continue
        begun = begun if text else number
        text += line.strip()
        if text.endswith("\\"):
            text = text.removesuffix("\\")
            continue
        found.append(Command(begun, text))
        text = ""
    assert not text, f"{DOCUMENT}:{begun}: the last line of a block is continued"
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that looks like the repository's root to the commands, and in which they may write."""
    root = tmp_path_factory.mktemp("docs")
    for name in ("demo", "docs", "pyproject.toml"):
        (root / name).symlink_to(surroundings.REPOSITORY / name)
    (root / "docker").mkdir()
    (root / "docker" / ".env").write_text("ADMIN_EMAIL=admin@example.org\n", encoding="utf-8")
    (root / "tmp").mkdir()
    return root


def test_every_command_that_needs_no_docker_runs(stack: Stack, scratch: Path) -> None:
    """In the document's order: later ones look at what earlier ones wrote."""
    mine = [command for command in commands() if not command.needs_docker]
    assert len(mine) >= 8, "the quick-start has lost its commands"
    env = environment(stack)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    for command in mine:
        text = (
            command.text.replace("http://127.0.0.1:8070", stack.service_url)
            .replace("http://127.0.0.1:8080/weppcloud", stack.app_url)
            .replace("/tmp/", f"{scratch}/tmp/")
        )
        ended = run(["bash", "-euo", "pipefail", "-c", text], env, cwd=scratch)
        assert ended.code == 0, f"{command}\nended with {ended.code}\n{ended.out}\n{ended.err}"
    overlay = (scratch / "docker" / ".env.coverage").read_text(encoding="utf-8")
    assert overlay == "ADMIN_EMAIL=admin@example.org\nENABLE_PROFILE_COVERAGE=1\n"
    written = {path.relative_to(scratch / "tmp").as_posix() for path in (scratch / "tmp").rglob("*")}
    assert {"profile-coverage/legacy-palouse.coverage", "profile-artifacts/legacy-palouse.coverage"} <= written
    assert any(name.endswith("matrix.json") for name in written)


def test_docker_commands_can_be_parsed_and_are_of_known_forms() -> None:
    theirs = [command for command in commands() if command.needs_docker]
    assert theirs, "the customer's stack runs in Docker, and the quick-start says how to switch it"
    for command in theirs:
        syntax = run(["bash", "-n", "-c", command.text], {})
        assert syntax.code == 0, f"{command}\n{syntax.err}"
        words = shlex.split(command.text)
        settings = [word for word in words if re.fullmatch(r"[A-Z_]+=\S+", word)]
        words = words[len(settings) :]
        if words[1] == "compose":
            assert words[2] == "-f", command
            assert words[4:] in (["up", "-d", "weppcloud"], ["up", "-d", "weppcloud", "rq-worker"]), command
            assert settings[0].startswith("WEPPPY_ENV_FILE=.env"), command
        else:
            assert words[1] == "exec", command
            inner = words[words.index("weppcloud") + 1 :]
            assert inner[0] in ("env", "sh"), command
            if inner[0] == "sh":
                assert inner[1] == "-c", command
                assert run(["bash", "-n", "-c", inner[2]], {}).code == 0, command
                assert re.search(r"coverage combine [\w.*-]+$", inner[2]), command


def test_what_docker_commands_do_inside_a_container_works_here(stack: Stack, scratch: Path) -> None:
    """The `coverage combine` that is typed into the container, on a copy of the stack's shards."""
    inner = [shlex.split(command.text)[-1] for command in commands() if "coverage combine" in command.text]
    (script,) = [text for text in inner if text.startswith("cd ")]
    playtrace(stack, "play", "legacy-palouse", "--trace-code").expect(0)
    shards = scratch / "shards"
    shards.mkdir()
    for shard in stack.coverage_dir.glob("*.coverage.*"):
        (shards / shard.name).write_bytes(shard.read_bytes())
    assert list(shards.glob("legacy-palouse.coverage.*")), "the replays before this one left shards"
    directory = re.match(r"cd (\S+)", script)
    assert directory is not None
    here = script.replace(directory[1], str(shards))
    here = re.sub(r"\S*/bin/coverage", f"{sys.executable} -m coverage", here)
    run(["sh", "-c", here], environment(stack)).expect(0)
    assert (shards / ".coverage").is_file()


def test_linked_documents_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", DOCUMENT.read_text(encoding="utf-8")):
        assert (DOCUMENT.parent / target).exists(), target
