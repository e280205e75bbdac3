"""What the documentation tells people to type is run, page by page; names that it uses are compared with the sources.

Commands run as they are written, but for addresses (the stack of the tests has free ports) and `/tmp`, which becomes a
directory of the test's own. Those that need a Docker engine are held against the compose file by `test_docker.py`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import documents
from tests.documents import DOCS
from tests.oracle import surroundings
from tests.support import Ended, environment, options, playtrace, run

from stack import Stack  # isort: skip

QUICK_START = DOCS / "dev-notes" / "profile-coverage.md"
# `test_tutorials.py`, `test_workflows.py`, `test_docker.py`, `test_check.py`, `test_perf.py`, and the agent's
# `test_run_command.py` and `test_wsgi_frameworks.py` run what these say.
ELSEWHERE = {
    *DOCS.glob("tutorial*.md"),
    surroundings.REPOSITORY / "docker" / "README.md",
    *(DOCS / "dev-notes" / name for name in ("nightly.md", "check.md", "no-code.md", "perf.md", "greenlets.md")),
}
PAGES = [
    page
    for page in documents.every_document()
    if documents.blocks(page, "bash") and page not in ELSEWHERE | {QUICK_START}
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


def read(page: Path, stack: Stack, scratch: Path) -> Ended:
    """Type what a page says."""
    env = environment(stack)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    text = (
        documents.script_of(page)
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
