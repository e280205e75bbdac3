"""Interpreters with a coverage.py each, and unpacked packages, all below `.tools/source-parity/`."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.parity.places import REQUIREMENTS, ROOT, VERSIONS, Missing, find

TOOLS = ROOT / ".tools" / "source-parity"
PACKAGES = REQUIREMENTS / "source-parity.txt"
#: What `playtrace --coverage-version` calls a release, and the requirements that pin it.
COVERAGES = {"7.11": REQUIREMENTS / "coverage-7.11.txt", "7.17": REQUIREMENTS / "coverage-7.17.txt"}
#: The standard library is compared besides the packages: each Python's own.
STDLIB = "stdlib"


@dataclass(frozen=True)
class Oracle:
    """A CPython with a coverage.py."""

    #: `3.12`
    python: str
    #: `7.11`
    coverage: str
    #: `CPython 3.12.1, coverage.py 7.11.3`
    described: str
    interpreter: Path
    stdlib: Path


def oracle(python: str, coverage: str) -> Oracle:
    """Make the virtual environment, unless it is there and nothing has changed since."""
    base, wanted = find(python), COVERAGES[coverage]
    home = TOOLS / f"python-{python}-coverage-{coverage}"
    interpreter = home / "bin" / "python"
    if not _is_fresh(home, wanted, str(base)):
        _announce(home)
        _run([str(base), "-m", "venv", str(home)])
        _run([*_pip(interpreter), "install", "--require-hashes", "-r", str(wanted)])
        _stamp(home, wanted, str(base))
    names = "platform.python_version(), coverage.__version__, sysconfig.get_path('stdlib')"
    asked = _run([str(interpreter), "-c", f"import coverage, platform, sysconfig; print({names}, sep='\\n')"])
    full, release, stdlib = asked.splitlines()
    return Oracle(python, coverage, f"CPython {full}, coverage.py {release}", interpreter, Path(stdlib).resolve())


def packages(interpreter: Path) -> dict[str, Path]:
    """Fetch and unpack the pinned packages, once; a directory for each. Nothing of them is run."""
    names = pinned()
    home = TOOLS / "packages"
    if not _is_fresh(home, PACKAGES, ""):
        _announce(home)
        home.mkdir(parents=True)
        for name, lines in names.items():
            (home / f"{name}.txt").write_text(lines, encoding="utf-8")
            options = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--require-hashes"]
            target = ["--target", str(home / name), "-r", str(home / f"{name}.txt")]
            _run([*_pip(interpreter), "install", *options, *target])
        _stamp(home, PACKAGES, "")
    return {name: home / name for name in names}


def pinned() -> dict[str, str]:
    """Each package's requirement with its hashes, by its name."""
    text = PACKAGES.read_text(encoding="utf-8")
    found = re.findall(r"^([a-z][\w-]*)==\S+ \\\n(?: +--hash=\S+(?: \\)?\n)+", text, re.MULTILINE)
    blocks = re.findall(r"^[a-z][\w-]*==\S+ \\\n(?: +--hash=\S+(?: \\)?\n)+", text, re.MULTILINE)
    return dict(zip(found, blocks, strict=True))


def releases() -> dict[str, str]:
    """Which release of each package is compared."""
    return {name: block.split()[0].partition("==")[2] for name, block in pinned().items()}


def files(place: Path) -> list[Path]:
    """The Python files of a package; of a standard library, those that come with it."""
    return sorted(path for path in place.rglob("*.py") if "site-packages" not in path.parts and path.is_file())


def _is_fresh(home: Path, wanted: Path, more: str) -> bool:
    stamp = home / "stamp"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _digest(wanted, more)


def _stamp(home: Path, wanted: Path, more: str) -> None:
    (home / "stamp").write_text(_digest(wanted, more), encoding="utf-8")


def _digest(wanted: Path, more: str) -> str:
    return f"{hashlib.sha256(wanted.read_bytes()).hexdigest()} {more}"


def _announce(home: Path) -> None:
    print(f"==> making {home.relative_to(ROOT)}", flush=True)
    shutil.rmtree(home, ignore_errors=True)


def _pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command[:6])} … failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


__all__ = ["COVERAGES", "ROOT", "STDLIB", "VERSIONS", "Missing", "Oracle", "files", "oracle", "packages", "releases"]
