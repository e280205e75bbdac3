"""`relative_files` and absolute names in data: where coverage.py depends on the order of files, or finds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from tests.oracle import surroundings

PROGRAM = surroundings.program()
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
#: The same file where it was measured elsewhere.
ELSEWHERE = "/build/elsewhere/app/core.py"
CONFIG = "[run]\nrelative_files = true\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, and a configuration; it is the working directory."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "core.py").write_text("a = 1\nb = 2\nc = 3\n", encoding="utf-8")
    (tmp_path / ".coveragerc").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: str, name: str, line: int) -> None:
    """One executed line."""
    data = coverage.CoverageData(file)
    data.add_lines({name: [line]})
    data.write()


def lines(file: str) -> dict[str, list[int]]:
    """What a data file holds."""
    data = coverage.CoverageData(file)
    data.read()
    return {name: sorted(data.lines(name) or []) for name in data.measured_files()}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("relative_first", [True, False])
def test_what_is_merged_does_not_depend_on_the_order_of_the_files(relative_first: bool) -> None:
    """A relative name brings a rule for absolute ones; coverage.py has it only when it comes to that file."""
    first, last = ("app/core.py", ELSEWHERE) if relative_first else (ELSEWHERE, "app/core.py")
    write("data.1", first, 1)
    write("data.2", last, 2)
    quietly = ["combine", "--keep", "-q"]
    subprocess.run([PROGRAM, *quietly, "--data-file", "ours", "data.1", "data.2"], check=True)
    subprocess.run([sys.executable, "-m", "coverage", *quietly, "--data-file=theirs", "data.1", "data.2"], check=True)
    assert lines("ours") == {"app/core.py": [1, 2]}
    if relative_first:
        assert lines("theirs") == lines("ours")
    else:
        assert lines("theirs") == {ELSEWHERE: [1], "app/core.py": [2]}


def test_absolute_names_are_reported(project: Path) -> None:
    """coverage.py looks for the relative name alone, and shows 0 % of what was executed."""
    write("data", str(project / "app" / "core.py"), 2)
    ours = [PROGRAM, "export", "data", "--source", ".", "--python-version", VERSION, "--no-cache", "--format"]
    theirs = [sys.executable, "-m", "coverage", "report", "--data-file=data", "--format"]
    percentages = [
        subprocess.run([*command, "total"], check=True, capture_output=True, text=True).stdout.strip()
        for command in (ours, theirs)
    ]
    assert percentages == ["33", "0"]
