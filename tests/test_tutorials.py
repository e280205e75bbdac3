"""What the tutorials tell people to type is run, each from an empty directory to the list of gaps.

Commands run as they are written, but for addresses, which have free ports, and for where packages come from.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

from tests import documents
from tests.documents import DOCS
from tests.oracle import surroundings

from stack import DEMO  # isort: skip
from stack_services import free_port  # isort: skip

TUTORIAL = DOCS / "tutorial.md"
# The others: the directory that they make, and what they say that their session does not reach.
SHORT_TUTORIALS = {
    DOCS / "tutorial-fastapi.md": ("garden", {"garden.harvest", "plants.harvest"}),
    DOCS / "tutorial-django.md": ("library", {"library.views.fine"}),
    DOCS / "tutorial-celery.md": ("shop", {"shop.job", "shop.refunds", "tasks.refund"}),
}
PAGE_SECONDS = 220.0


def test_every_tutorial_is_typed() -> None:
    assert set(DOCS.glob("tutorial*.md")) == {TUTORIAL, *SHORT_TUTORIALS}


def type_tutorial(page: Path, tmp_path: Path, directory: str) -> str:
    """Type what a tutorial says, in an empty directory. Packages, pip too, come from the environment of the tests."""
    redis, web = str(free_port()), str(free_port())
    site = Path(sysconfig.get_paths()["purelib"])
    packages = f"lib/{site.parent.name}/{site.name}"
    checkout = tmp_path / "checkout"
    (checkout / "target").mkdir(parents=True)
    (checkout / "target" / "release").symlink_to(surroundings.program().parent)
    (checkout / "dist").mkdir()
    (wheel,) = (surroundings.REPOSITORY / "dist").glob("playtrace_agent-*.whl")
    (checkout / "dist" / wheel.name).symlink_to(wheel)
    text = documents.script_of(page)
    make_environment = f"{sys.executable} -m venv --without-pip .venv"
    changes = {
        "~/src/playtrace": str(checkout),
        "127.0.0.1:8000": f"127.0.0.1:{web}",
        "--port 8000": f"--port {web}",
        "6379": redis,
        "redis-server": str(surroundings.redis_server()),
        "python3 -m venv .venv": f"{make_environment}\necho {site} > .venv/{packages}/all.pth",
        # Into the environment that the page makes, although it sees the tests' own.
        '"$PLAYTRACE_CHECKOUT"/dist': '--force-reinstall "$PLAYTRACE_CHECKOUT"/dist',
        "python3.12": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PROFILE_", "ENABLE_"))}
    env |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
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
