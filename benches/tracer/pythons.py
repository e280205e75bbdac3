"""The Pythons to measure, each with a virtual environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..compiler import compiled
from .processes import ROOT

VERSIONS = ("3.12", "3.13")
_REQUIREMENTS = ROOT / "requirements" / "bench.txt"
_LEAST = Path(__file__).resolve().parent / "inside" / "least.c"


class NoPython(Exception):
    """There is no such Python here, or no wheel to put into it."""


def find(version: str) -> Path:
    """A CPython of that version: on the PATH, or where pyenv keeps its own.

    Raises:
        NoPython: There is none.
    """
    on_path = shutil.which(f"python{version}")
    if on_path is not None and _is(Path(on_path), version):
        return Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for candidate in sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True):
        if _is(candidate, version):
            return candidate
    raise NoPython(f"no CPython {version} on the PATH or with pyenv (`pyenv install {version}`)")


def _is(program: Path, version: str) -> bool:
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(program), "-I", "-c", ask], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def environment_of(version: str, wheel: Path, home: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of a virtual environment with the wheel and the peers; made anew when the peers change.

    Raises:
        NoPython: There is no Python of that version.
    """
    base = find(version)
    home = home / f"python-{version}"
    python = home / "bin" / "python"
    made_from = hashlib.sha256(_REQUIREMENTS.read_bytes() + str(base).encode()).hexdigest()
    stamp = home / "made-from"
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != made_from:
        say(f"{version}: making {home}")
        shutil.rmtree(home, ignore_errors=True)
        _run([str(base), "-I", "-m", "venv", str(home)])
        _pip(python, "--require-hashes", "-r", str(_REQUIREMENTS))
        stamp.write_text(made_from, encoding="ascii")
    _pip(python, "--no-deps", "--force-reinstall", str(wheel))
    return python


def least_of(python: Path, home: Path, say: Callable[[str], None]) -> Path | None:
    """The least recorder, compiled for a Python; `None` where there is no C compiler, or no header files."""
    ask = "import sysconfig; print(sysconfig.get_paths()['include'])"
    include = subprocess.run([str(python), "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return compiled(_LEAST, home / "least.so", ["-O3", "-shared", "-fPIC", "-w", f"-I{include}"], say)


def the_wheel() -> Path:
    """The agent's wheel, as `make build` leaves it.

    Raises:
        NoPython: It is not there.
    """
    wheels = sorted((ROOT / "dist").glob("playtrace_agent-*.whl"))
    if not wheels:
        raise NoPython("no wheel of the agent in dist/: run `make build`")
    return wheels[-1]


def versions_of(python: Path) -> dict[str, str]:
    """What is measured: the Python, the agent and its peers, as installed."""
    ask = (
        "import platform; from importlib.metadata import version as v; print(platform.python_version(), "
        "*[n + '=' + v(n) for n in ('playtrace-agent', 'coverage', 'slipcover', 'pyperformance', 'flask', 'gunicorn')])"
    )
    done = subprocess.run([str(python), "-I", "-c", ask], capture_output=True, text=True, check=True)
    number, *packages = done.stdout.split()
    return {"CPython": number, **dict(package.split("=", 1) for package in packages)}


def _pip(python: Path, *arguments: str) -> None:
    _run([str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
