"""LCOV is for genhtml: it reads what `playtrace export` writes, and counts what we count."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export_parity import compare
from tests.oracle import surroundings
from tests.source_parity import places
from tests.test_export import ORACLE, VERSION

GENHTML = shutil.which("genhtml")
PROGRAM = surroundings.program()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a real package, and of a file whose name has to be taken as it is."""
    home = tmp_path_factory.mktemp("project")
    shutil.copytree(Path(json.__file__).parent, home / "json", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "a b#%.py").write_text(
        "class C:\n    def m(self):\n        return (1,\n                2)\n", encoding="utf-8"
    )
    compare.make_data(ORACLE, home / "data", places.files(home))
    return home


def export(tree: Path, output: Path, *options: str) -> None:
    """Write a report."""
    command = [
        str(PROGRAM),
        "export",
        "data",
        "--source",
        ".",
        "--python-version",
        VERSION,
        "--no-cache",
        "-o",
        str(output),
    ]
    subprocess.run([*command, *options], cwd=tree, check=True, capture_output=True)


@pytest.mark.skipif(GENHTML is None, reason="genhtml is not installed (Debian: the package lcov)")
@pytest.mark.parametrize("release", ["7.11", "7.17"])
@pytest.mark.parametrize("config", ["", "[lcov]\nline_checksums = true\n"], ids=["plain", "checksums"])
def test_genhtml_reads_it(tree: Path, tmp_path: Path, release: str, config: str) -> None:
    assert GENHTML is not None
    rcfile, tracefile, totals = tmp_path / "rcfile", tmp_path / "lcov.info", tmp_path / "totals.json"
    rcfile.write_text(config, encoding="utf-8")
    options = ("--config", str(rcfile), "--coverage-version", release)
    export(tree, tracefile, "--format", "lcov", *options)
    export(tree, totals, "--format", "json", *options)
    report = json.loads(totals.read_text(encoding="utf-8"))
    done = subprocess.run(
        [GENHTML, "--output-directory", str(tmp_path / "pages"), str(tracefile)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not re.search(r"warning|error|ignor|invalid", said, re.IGNORECASE), said
    executed, statements = counted("lines", said)
    assert statements == report["totals"]["num_statements"]
    assert executed == statements - report["totals"]["missing_lines"]
    if genhtml_release() >= 2:
        records = re.findall(r"^FN[FH]:(\d+)$", tracefile.read_text(encoding="utf-8"), re.MULTILINE)
        found, hit = (sum(map(int, records[start::2])) for start in (0, 1))
        assert counted("functions", said) == (hit, found)
    names = {page.name for page in (tmp_path / "pages").rglob("*.gcov.html")}
    assert {"a b#%.py.gcov.html", "decoder.py.gcov.html"} <= names, names


def counted(what: str, said: str) -> tuple[int, int]:
    """What genhtml sums up: how many of how many."""
    found = re.search(rf"{what}\.*: .*?\((\d+) of (\d+) ", said)
    assert found, said
    return int(found[1]), int(found[2])


def genhtml_release() -> int:
    """The first number of its version. The first releases take a function's last line for a part of its name."""
    said = subprocess.run([str(GENHTML), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.", said)
    assert found, said
    return int(found[1])


def test_the_oracle_s_own_file_is_the_same(tree: Path, tmp_path: Path) -> None:
    """What genhtml makes of ours is what it makes of coverage.py's."""
    export(tree, tmp_path / "ours", "--format", "lcov")
    theirs = tmp_path / "theirs"
    command = [sys.executable, "-m", "coverage", "lcov", "--data-file=data", "-q", "-o", str(theirs)]
    subprocess.run(command, cwd=tree, check=True)
    assert (tmp_path / "ours").read_bytes() == theirs.read_bytes()
