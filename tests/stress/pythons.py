"""What a Python has and can do that a scenario needs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


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
