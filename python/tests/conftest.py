"""Scenarios run in processes of their own: there is one agent in a process, and its end is part of the test."""

from __future__ import annotations

import contextlib
import os
import signal
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

# What a shell script starts with `&` ignores Ctrl-C, and so would the servers that are stopped by it here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds. Beside a compiler, a driver that starts ten interpreters may get a hundredth of a processor.
PATIENCE = 200
#: The files that take longest, each more than ten seconds. Several processes run a file each; where one of these is
#: begun last, the others wait for it.
LONGEST = [
    *("asgi_servers", "wsgi_frameworks", "celery", "limits_jobs", "rq_cases", "hostile_servers", "gunicorn"),
    *("rq", "code_lifetime", "greenlet_servers", "processes", "run_command", "run_rq", "huey"),
    *("rq_ends", "loky", "harmless_daemons", "process_load", "attribution", "multiprocessing", "settings"),
    *("harmless_deaths", "pools", "routes", "limits", "harmless_watchers", "harmless_interpreter"),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest. With xdist, that wants `--no-loadscope-reorder`."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def descendants(pid: int) -> dict[int, str]:
    """Return what a process has started, and what each of them waits for."""
    found = {}
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[child] = f"{child} of {pid} in {Path(f'/proc/{child}/wchan').read_text()}: {command}"
            found.update(descendants(child))
    return found


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
            # Not by how full the disk of the machine is.
            "PROFILE_COVERAGE_MIN_FREE": "0",
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
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", warnings, str(script)],
            env=self.environment(env),
            cwd=cwd or self.app,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            stuck = descendants(process.pid)
            # It says where each of its threads is; then nobody may hold its pipes.
            process.send_signal(signal.SIGABRT)
            process.wait()
            for child in stuck:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            out, err = process.communicate(timeout=10)
            pytest.fail("\n".join(["the driver is stuck:", *stuck.values(), out, err]))
        if check and process.returncode != 0:
            pytest.fail(f"the driver ended with {process.returncode}:\n{out}\n{err}")
        return Outcome(process.returncode, out, err, Scenario(self.data))

    def look(self) -> Scenario:
        """Look at what the agent has written so far."""
        return Scenario(self.data)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a fresh workspace."""
    return Workspace(tmp_path)
