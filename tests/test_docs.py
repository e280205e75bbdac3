"""What the documentation tells people to type is run, page by page; names that it uses are compared with the sources.

Commands run as they are written, but for addresses (the stack of the tests has free ports) and `/tmp`, which becomes a
directory of the test's own. Those that need a Docker engine are held against the compose file by `test_docker.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import documents
from tests.documents import DOCS, Block
from tests.oracle import surroundings
from tests.support import Ended, environment, options, playtrace, run

from stack import DEMO, Stack  # isort: skip
from stack_services import free_port  # isort: skip

QUICK_START = DOCS / "dev-notes" / "profile-coverage.md"
TUTORIAL = DOCS / "tutorial.md"
# The others: the directory that they make, and what they say that their session does not reach.
SHORT_TUTORIALS = {
    DOCS / "tutorial-fastapi.md": ("garden", {"garden.harvest", "plants.harvest"}),
    DOCS / "tutorial-django.md": ("library", {"library.views.fine"}),
    DOCS / "tutorial-celery.md": ("shop", {"shop.job", "shop.refunds", "tasks.refund"}),
}
# `test_workflows.py`, `test_docker.py`, `test_check.py`, `test_perf.py`, and the agent's `test_run_command.py` and
# `test_wsgi_frameworks.py` run what these say.
ELSEWHERE = {
    surroundings.REPOSITORY / "docker" / "README.md",
    *(DOCS / "dev-notes" / name for name in ("nightly.md", "check.md", "no-code.md", "perf.md", "greenlets.md")),
}
PAGES = [
    page
    for page in documents.every_document()
    if documents.blocks(page, "bash") and page not in ELSEWHERE | {QUICK_START, TUTORIAL, *SHORT_TUTORIALS}
]
PAGE_SECONDS = 220.0


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: `playtrace doctor` would find what other tests leave."""
    with Stack(options(tmp_path_factory.mktemp("reader") / "stack")) as running:
        yield running


def scratch_below(root: Path) -> Path:
    """A directory that looks like the repository's root to the commands, and in which they may write."""
    root.mkdir()
    for name in ("demo", "docs", "pyproject.toml"):
        (root / name).symlink_to(surroundings.REPOSITORY / name)
    (root / "docker").mkdir()
    (root / "docker" / ".env").write_text("ADMIN_EMAIL=admin@example.org\n", encoding="utf-8")
    (root / "tmp").mkdir()
    return root


def script_of(page: Path) -> str:
    """The page's `bash` blocks as one script, that says in which block it failed; what needs an engine is left out."""
    return "\n".join([f"trap 'echo \"{page.name}:$block\" >&2' ERR", *map(piece_of, documents.blocks(page, "bash"))])


def piece_of(block: Block) -> str:
    """One block."""
    commands = block.commands()
    mine = [command.text for command in commands if not command.needs_docker]
    text = block.text if len(mine) == len(commands) else "\n".join(mine)
    return f"block={block.line}\n{text}"


def read(page: Path, stack: Stack, scratch: Path) -> Ended:
    """Type what a page says."""
    env = environment(stack)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    text = (
        script_of(page)
        .replace("http://127.0.0.1:8070", stack.service_url)
        .replace("http://127.0.0.1:8080/weppcloud", stack.app_url)
        .replace("redis://127.0.0.1:6379/0", stack.redis_url)
        .replace("/tmp/", f"{scratch}/tmp/")
    )
    return run(["bash", "-Eeuo", "pipefail", "-c", text], env, cwd=scratch, timeout=PAGE_SECONDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(surroundings.REPOSITORY).as_posix())
def test_the_commands_of_a_page_run(page: Path, reader: Stack, tmp_path: Path) -> None:
    read(page, reader, scratch_below(tmp_path / "here")).expect(0)


def test_the_commands_of_the_quick_start_run_and_leave_what_it_says(reader: Stack, tmp_path: Path) -> None:
    scratch = scratch_below(tmp_path / "here")
    mine = [command for command in documents.commands(QUICK_START) if not command.needs_docker]
    assert len(mine) >= 8, "the quick-start has lost its commands"
    read(QUICK_START, reader, scratch).expect(0)
    overlay = (scratch / "docker" / ".env.coverage").read_text(encoding="utf-8")
    assert overlay == "ADMIN_EMAIL=admin@example.org\nENABLE_PROFILE_COVERAGE=1\n"
    written = {path.relative_to(scratch / "tmp").as_posix() for path in (scratch / "tmp").rglob("*")}
    assert {"profile-coverage/legacy-palouse.coverage", "profile-artifacts/legacy-palouse.coverage"} <= written
    assert any(name.endswith("matrix.json") for name in written)


def test_the_commands_of_the_readme_run(reader: Stack, tmp_path: Path) -> None:
    """In their order, with the demo's app in the place of the reader's, and a small tree."""
    scratch = scratch_below(tmp_path / "here")
    (scratch / "src").mkdir()
    (scratch / "src" / "app.py").write_text("def work():\n    return 1\n", encoding="utf-8")
    found = [textwrap.dedent(block.text) for block in documents.blocks(surroundings.REPOSITORY / "README.md", "")]
    tracing, indexing, exporting = [text for text in found if re.match("curl|playtrace", text)]
    before = "mkdir old; playtrace index build src --python-version 3.12 --output old/coverage-symbols.json"
    here = 'cp "$PROFILE_COVERAGE_DIR"/my-first.* .'
    tracing = tracing.replace("http://127.0.0.1:8000/", f"{reader.app_url}/login")
    text = "\n".join([tracing, before, indexing, here, exporting])
    ended = run(["bash", "-Eeuo", "pipefail", "-c", text], environment(reader), cwd=scratch).expect(0)
    assert (scratch / "out" / "reports" / "my-first" / "index.html").is_file()
    assert (scratch / "htmlcov" / "index.html").is_file()
    assert re.search(r"^TOTAL +\d+", ended.out, re.MULTILINE)


def test_what_docker_commands_do_inside_a_container_works_here(reader: Stack, tmp_path: Path) -> None:
    """The `coverage combine` that is typed into the container, on a copy of the stack's shards."""
    commands = documents.commands(QUICK_START)
    inner = [shlex.split(command.text)[-1] for command in commands if "coverage combine" in command.text]
    (script,) = [text for text in inner if text.startswith("cd ")]
    playtrace(reader, "play", "legacy-palouse", "--trace-code").expect(0)
    shards = list(reader.coverage_dir.glob("legacy-palouse.coverage.*"))
    assert shards
    for shard in shards:
        shutil.copy(shard, tmp_path)
    here = re.sub(r"cd \S+", f"cd {tmp_path}", script)
    here = re.sub(r"\S*/bin/coverage", f"{sys.executable} -m coverage", here)
    run(["sh", "-c", here], environment(reader)).expect(0)
    assert (tmp_path / ".coverage").is_file()


def type_tutorial(page: Path, tmp_path: Path, directory: str) -> str:
    """Type what a tutorial says, in an empty directory. Packages come from the environment of the tests."""
    redis, web = str(free_port()), str(free_port())
    site = Path(sysconfig.get_paths()["purelib"])
    packages = f"lib/{site.parent.name}/{site.name}"
    checkout = tmp_path / "checkout"
    (checkout / "target").mkdir(parents=True)
    (checkout / "target" / "release").symlink_to(surroundings.program().parent)
    (checkout / "dist").mkdir()
    (wheel,) = (surroundings.REPOSITORY / "dist").glob("playtrace_agent-*.whl")
    (checkout / "dist" / wheel.name).symlink_to(wheel)
    text = script_of(page)
    changes = {
        "~/src/playtrace": str(checkout),
        "127.0.0.1:8000": f"127.0.0.1:{web}",
        "--port 8000": f"--port {web}",
        "6379": redis,
        "redis-server": str(surroundings.redis_server()),
        "python3 -m venv .venv": f"{sys.executable} -m venv .venv\necho {site} > .venv/{packages}/all.pth",
        # Into the environment that the page makes, although it sees the tests' own.
        '"$PLAYTRACE_CHECKOUT"/dist': '--force-reinstall --no-deps "$PLAYTRACE_CHECKOUT"/dist',
        "python3.12": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PROFILE_", "ENABLE_"))}
    env |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    env["GUNICORN_CMD_ARGS"] = f"--config {DEMO / 'gunicorn.conf.py'}"
    shell = subprocess.Popen(
        ["bash", "-mEeuo", "pipefail", "-c", text],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=PAGE_SECONDS)
    finally:
        stop_session(shell.pid)
    logs = "\n".join(path.read_text(encoding="utf-8") for path in (tmp_path / directory).glob("*.log"))
    assert shell.returncode == 0, f"{said}\n{logs}"
    assert "x-profile-trace-status: on" in said.lower()
    return said


def gaps_of(directory: Path) -> set[str]:
    """What a tutorial's session does not reach, by the list that it ends with."""
    return {line.split()[-1] for line in (directory / "out" / "gaps.txt").read_text("utf-8").splitlines()}


def test_the_tutorial_works(tmp_path: Path) -> None:
    """From an empty directory to the list of gaps."""
    said = type_tutorial(TUTORIAL, tmp_path, "shop")
    assert [line for line in said.splitlines() if line.startswith("Verdict: ")] == [
        "Verdict: consistent",
        "Verdict: complete",
    ]
    assert gaps_of(tmp_path / "shop") == {"shop.job", "shop.refunds", "work.refund"}, "as the tutorial says"


@pytest.mark.parametrize("page", SHORT_TUTORIALS, ids=lambda page: page.stem)
def test_a_short_tutorial_works(page: Path, tmp_path: Path) -> None:
    directory, gaps = SHORT_TUTORIALS[page]
    said = type_tutorial(page, tmp_path, directory)
    assert [line for line in said.splitlines() if line.startswith("Verdict: ")] == ["Verdict: complete"]
    assert gaps_of(tmp_path / directory) == gaps, "as the tutorial says"


def stop_session(leader: int) -> None:
    """End what a failed tutorial left running: job control gave each of its services a group of its own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                stat = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(stat[3]) == leader:
                    os.kill(int(entry.name), signal.SIGKILL)


# Names ---------------------------------------------------------------------------------------------


def test_the_configuration_page_names_the_variables_that_are_read() -> None:
    pattern = re.compile(r'"((?:PROFILE|ENABLE|ADMIN|UPLOAD|PLAYTRACE|REDIS|COVERAGE)_[A-Z_]*[A-Z])"')
    sources = [*surroundings.REPOSITORY.glob("crates/*/src/**/*.rs")]
    sources += (surroundings.REPOSITORY / "python" / "playtrace_agent").glob("*.py")
    read_by_code = {name for path in sources for name in pattern.findall(path.read_text(encoding="utf-8"))}
    read_by_code = {name for name in read_by_code if not name.startswith("PLAYTRACE_TEST_")}
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    assert {name for name in read_by_code if f"`{name}`" not in page} == set(), "read, and not explained"
    explained = {
        name for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained - read_by_code == set(), "explained, and read by nobody"


def inline_commands() -> Iterator[tuple[str, list[str]]]:
    """What documents and the texts to paste call a command of the program, in running text: place and words."""
    for page in documents.every_document():
        if page.name == "CHANGELOG.md" or page.parent.name == "adr":
            continue
        text = page.read_text(encoding="utf-8")
        for span in re.findall(r"(?<!`)`((?:playtrace|wctl) [a-z][^`]*)`(?!`)", text):
            yield page.relative_to(surroundings.REPOSITORY).as_posix(), span.split()
        for line in re.findall(r"^ {4}((?:playtrace|wctl) [a-z].*)$", text, re.MULTILINE):
            yield page.relative_to(surroundings.REPOSITORY).as_posix(), line.split()
        for line in not_typed(page):
            yield page.relative_to(surroundings.REPOSITORY).as_posix(), line.split()


def not_typed(page: Path) -> list[str]:
    """The commands of the program in blocks that nobody types: they show a form, or are a part of something else."""
    text = "".join(block.text for block in documents.blocks(page) if block.language in ("", "sh", "console", "text"))
    return re.findall(r"^((?:playtrace|wctl) [a-z].*)$", text, re.MULTILINE)


def test_commands_in_running_text_exist_with_their_options() -> None:
    found = list(inline_commands())
    assert len(found) > 50
    wrong = {
        f"{place}: {' '.join(words)}: {why}" for place, words in found if (why := documents.unknown_to_program(words))
    }
    assert wrong == set()
    assert documents.unknown_to_program(["playtrace", "combin", "--keep"]) == "combin"
    assert documents.unknown_to_program(["playtrace", "index", "build", ".", "--outputs", "x"]) == "--outputs"


@pytest.mark.parametrize("page", [page for page in documents.every_document() if DOCS in page.parents], ids=str)
def test_a_command_that_can_be_typed_is_typed_by_a_test(page: Path) -> None:
    assert [line for line in not_typed(page) if not re.search(r"<[a-z]+>", line)] == [], "make it a `bash` block"


def test_the_text_for_a_team_s_agents_names_the_guardrail() -> None:
    text = (DOCS / "paste" / "AGENTS.md").read_text(encoding="utf-8")
    assert "`wctl check-profile-coverage`" in text
    assert "`wctl check-profile-coverage --fix`" in text


def test_linked_files_exist() -> None:
    """Also where the site does not look: in the repository's own pages, and in what is outside of `docs/`."""
    for page in documents.every_document():
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            # The parts of messages.md have links that are right in the whole.
            where = DOCS if page.parent.name == "messages" else page.parent
            assert (where / target).exists(), f"{page}: {target}"
