"""Interpreters, virtual environments and unpacked sources, all below `.tools/parity/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "parity"
REQUIREMENTS = ROOT / "requirements"
VERSIONS = ("3.12", "3.13")

_QUESTION = """import sys, sysconfig, ensurepip, venv, sqlite3, test.test_grammar
print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"""


class Missing(Exception):
    """Something that the comparison needs isn't here. The message says what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A virtual environment with coverage.py, the agent and what the suites need."""

    version: str
    #: `3.12.1`
    full_version: str
    python: Path
    stdlib: Path
    site_packages: Path


def find(version: str) -> Path:
    """Find a CPython of that version which has its own tests: on the PATH, or where pyenv and uv keep theirs.

    Raises:
        Missing: There is none.
    """
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    candidates = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    for kept in (pyenv / "versions", home / ".local/share/uv/python", home / ".asdf/installs/python"):
        candidates += sorted(kept.glob(f"*{version}*/bin/python{version}"))
    for candidate in candidates:
        done = subprocess.run([candidate, "-I", "-c", _QUESTION], capture_output=True, text=True, check=False)
        if done.stdout.split() == ["cpython", version]:
            return candidate
    raise Missing(
        f"no CPython {version} with venv, sqlite3 and CPython's own tests was found on the PATH, "
        "nor with pyenv, uv or asdf; "
        f"install one (`pyenv install {version}`; Debian: python{version}-venv and libpython{version}-testsuite)"
    )


def interpreter(version: str, wheel: Path) -> Interpreter:
    """Make the virtual environment of a version, unless it is there and nothing has changed since."""
    base = find(version)
    home = TOOLS / version
    python = home / "bin" / "python"
    files = [REQUIREMENTS / name for name in ("demo.txt", "parity.txt")]
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in [*files, wheel])).hexdigest() + f" {base}"
    stamp_file = home / "parity.stamp"
    if not stamp_file.is_file() or stamp_file.read_text(encoding="utf-8") != stamp:
        print(f"==> making {home.relative_to(ROOT)} with {base}", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _run([str(base), "-m", "venv", str(home)])
        for file in files:
            _run([*_pip(python), "install", "--no-compile", "--require-hashes", "-r", str(file)])
        _run([*_pip(python), "install", "--no-compile", "--no-deps", str(wheel)])
        stamp_file.write_text(stamp, encoding="utf-8")
    names = "platform.python_version(), *map(sysconfig.get_path, ['stdlib', 'purelib'])"
    ask = f"import platform, sysconfig; print({names}, sep='\\n')"
    full, stdlib, installed = _run([str(python), "-I", "-c", ask]).splitlines()
    return Interpreter(version, full, python, Path(stdlib).resolve(), Path(installed).resolve())


def sources(python: Path) -> Path:
    """Fetch and unpack the source distributions, which hold the packages' tests; once."""
    wanted = REQUIREMENTS / "parity-sources.txt"
    home = TOOLS / "sources"
    stamp = hashlib.sha256(wanted.read_bytes()).hexdigest()
    stamp_file = home / "parity.stamp"
    if stamp_file.is_file() and stamp_file.read_text(encoding="utf-8") == stamp:
        return home
    print(f"==> fetching {wanted.relative_to(ROOT)}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    only_source = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--require-hashes"]
    _run([*_pip(python), "download", *only_source, "-r", str(wanted), "--dest", str(home)])
    for archive in sorted(home.glob("*.tar.gz")):
        with tarfile.open(archive) as packed:
            packed.extractall(home, filter="data")
        archive.unlink()
    stamp_file.write_text(stamp, encoding="utf-8")
    return home


def _pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command[:6])} … failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout
