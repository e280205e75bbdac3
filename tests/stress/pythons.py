"""The Pythons that the stress runs on: this one, and another version with the same packages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.oracle.surroundings import REPOSITORY

OTHER = "3.13"


def find_other() -> str | None:
    """Find the other version, on the path or among pyenv's."""
    if found := shutil.which(f"python{OTHER}"):
        # pyenv's shim is there for versions that are not active, too; then it fails.
        done = subprocess.run([found, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return found
    versions = sorted((Path.home() / ".pyenv" / "versions").glob(f"{OTHER}.*/bin/python"))
    return str(versions[-1]) if versions else None


def equip(python: str, directory: Path) -> str:
    """Make a virtual environment with the app's packages and the built wheel; return its Python."""
    (wheel,) = (REPOSITORY / "dist").glob("playtrace_agent-*.whl")
    inside = directory / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", str(directory)], check=True)
        _pip(inside, "--require-hashes", "-r", str(REPOSITORY / "requirements" / "demo.txt"))
    _pip(inside, "--no-index", "--no-deps", "--force-reinstall", str(wheel))
    return str(inside)


def _pip(python: Path, *what: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", "install", *quiet, *what], check=True)


def version(python: str) -> str:
    """Its version, `3.12.1`."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def missing(python: str, needs: Sequence[str]) -> list[str]:
    """Return those distributions that it does not have."""
    code = (
        "import sys\nfrom importlib.metadata import PackageNotFoundError, version\n"
        "for name in sys.argv[1:]:\n"
        "    try: version(name)\n"
        "    except PackageNotFoundError: print(name)"
    )
    argv = [python, "-c", code, *needs]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def does(python: str, granularity: str) -> bool:
    """Say whether its agent takes that for a granularity."""
    code = (
        "from playtrace_agent import settings\n"
        f"try: settings.load({{settings.ENABLE: '1', settings.GRANULARITY: {granularity!r}}})\n"
        "except settings.SettingsError: print('no')"
    )
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return not done.stdout.strip()
