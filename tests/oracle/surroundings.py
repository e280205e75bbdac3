"""Paths and programs that the oracle and the end-to-end tests share."""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "demo"
APP = DEMO / "app"
PROFILES = DEMO / "profiles"
# What paths in data are relative to (the stack sets PROFILE_COVERAGE_ROOT so), and how the app's begin.
ROOT = REPOSITORY
MEASURED_APP = "demo/app"
CONFIG = APP / "coverage.profile-playback.ini"

# `demo/stack.py` and the module beside it are programs, not an installed package.
if str(DEMO) not in sys.path:
    sys.path.insert(0, str(DEMO))


def program() -> Path:
    """The built program; `PLAYTRACE_TEST_PROGRAM` names another one."""
    path = Path(os.environ.get("PLAYTRACE_TEST_PROGRAM", REPOSITORY / "target" / "release" / "playtrace"))
    return _must_exist(path, "PLAYTRACE_TEST_PROGRAM")


def redis_server() -> Path:
    """The redis-server; `PLAYTRACE_TEST_REDIS_SERVER` names another one."""
    path = Path(os.environ.get("PLAYTRACE_TEST_REDIS_SERVER", REPOSITORY / ".tools" / "redis-server"))
    return _must_exist(path, "PLAYTRACE_TEST_REDIS_SERVER")


def _must_exist(path: Path, variable: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run `make test`, or name another one with {variable}")
    return path.resolve()


def slugs() -> list[str]:
    """The demo's profiles."""
    return sorted(path.parent.parent.name for path in PROFILES.glob("*/capture/events.jsonl"))


def separate_python(directory: Path) -> Path:
    """A Python that has this one's packages, but site-packages of its own.

    coverage.py's subprocess patch writes a file into site-packages that every Python process of the
    environment then runs; here only the oracle's processes do.
    """
    venv.create(directory, with_pip=False, symlinks=True, clear=True)
    python = directory / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = directory / "lib" / version / "site-packages"
    # A directory that a .pth file adds is searched for modules, but its own .pth files are not read.
    (site_packages / "parent.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{REPOSITORY}\n", encoding="utf-8")
    # Read after coverage.py's own `subcover_….pth`.
    (site_packages / "zz_oracle.pth").write_text(
        "import os; os.environ.get('PLAYTRACE_ORACLE_CHILD') and "
        "__import__('tests.oracle.coverage_side', fromlist=['x']).follow_parent()\n",
        encoding="utf-8",
    )
    return python
