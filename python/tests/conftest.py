"""Scenarios run in processes of their own: there is one agent in a process, and its end is part of the test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scenario import Outcome, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping


# The installed wheel is what is tested: `python -m pytest` puts the directory above, with the bare sources, first.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parents[1]]


class Workspace:
    """A directory with an app, its configuration, and a place for coverage data."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.app = root / "app"
        self.data = root / "coverage"
        self.app.mkdir()
        self.write("coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit = driver*.py\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the app."""
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def environment(self, extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return the environment of a process with the agent on."""
        base = {name: value for name, value in os.environ.items() if not name.startswith("PROFILE_")}
        wanted: dict[str, str | None] = {
            "ENABLE_PROFILE_COVERAGE": "1",
            "PROFILE_COVERAGE_DIR": str(self.data),
            "PROFILE_COVERAGE_CONFIG": str(self.app / "coverage.profile-playback.ini"),
            "PYTHONPATH": str(self.app),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(extra or {}),
        }
        return {**base, **{name: value for name, value in wanted.items() if value is not None}}

    def run(
        self,
        driver: str,
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        warnings: str = "error",
    ) -> Outcome:
        """Run a driver script with the agent on, warnings as errors."""
        script = self.write("driver.py", driver)
        done = subprocess.run(
            [sys.executable, "-W", warnings, str(script)],
            env=self.environment(env),
            cwd=cwd or self.app,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"the driver ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return Outcome(done.returncode, done.stdout, done.stderr, Scenario(self.data))

    def look(self) -> Scenario:
        """Look at what the agent has written so far."""
        return Scenario(self.data)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a fresh workspace."""
    return Workspace(tmp_path)
