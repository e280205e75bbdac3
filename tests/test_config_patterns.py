"""Regular expressions in a configuration: those that coverage.py refuses are refused, with place and reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import coverage
import pytest
from coverage.exceptions import ConfigError

from tests.oracle import surroundings

PROGRAM = surroundings.program()
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
KEYS = ("exclude_lines", "exclude_also", "partial_branches", "partial_also", "partial_branches_always")
PATTERNS = (
    "(",
    "a)",
    "[a",
    "*a",
    "a**",
    r"\p{L}",
    "(?<n>a)",
    "(?y:a)",
    "(?a-a:b)",
    r"\N{NO SUCH THING}",
    r"\N{EM DASH}|(?a:\w)",
    "a{2,1}",
    "x(?i)y",
    "(?P<n>a)(?P=m)",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file and its data; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "core.py").write_text("a = 1\nb = 2\n", encoding="utf-8")
    data = coverage.CoverageData("data")
    data.add_lines({str(tmp_path / "core.py"): [1]})
    data.write()
    return tmp_path


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_refused_as_coverage_py_refuses_them(pattern: str) -> None:
    command = [
        str(PROGRAM),
        "export",
        "data",
        "--source",
        ".",
        "--config",
        "rc",
        "--python-version",
        VERSION,
        "--no-cache",
    ]
    for key in KEYS:
        Path("rc").write_text(f"[report]\nprecision = 1\n{key} =\n    {pattern}\n", encoding="utf-8")
        try:
            coverage.Coverage(config_file="rc")
            refused = ""
        except ConfigError as error:
            refused = str(error)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert bool(refused) == (done.returncode != 0), (key, refused, done.stderr)
        if refused:
            assert done.stderr.startswith(f"error[PT-COVDATA-020]: rc:3: [report] {key}: "), done.stderr
            reason = refused.partition(f"value {pattern!r}: ")[2]
            assert reason, refused
            assert f": {reason}\n" in done.stderr, (refused, done.stderr)
