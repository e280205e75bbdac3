"""coverage.py in environments of its own: the pinned release and the newest."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Name in the results → what pip is asked for.
WANTED = {"coverage.py 7.11.3": "coverage==7.11.3", "coverage.py newest": "coverage"}


@dataclass(frozen=True)
class Peer:
    """One of them."""

    name: str
    python: Path
    version: str


def peers(home: Path, say: Callable[[str], None]) -> list[Peer]:
    """Make what is not there yet below `home`, which is kept between runs.

    Raises:
        OSError: pip could not install it.
    """
    found = []
    for name, wanted in WANTED.items():
        place = home / name.replace(" ", "-")
        python = place / "bin" / "python"
        if not (place / "complete").exists():
            say(f"installing {wanted}")
            venv.create(place, with_pip=True, clear=True)
            done = subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], capture_output=True, text=True)
            if done.returncode:
                raise OSError(f"can't install {wanted}: {done.stderr.strip()}")
            (place / "complete").touch()
        ask = "import coverage; print(coverage.__version__)"
        version = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
        found.append(Peer(name, python, version))
    return found


def versions(found: list[Peer]) -> dict[str, str]:
    """For the results."""
    return {"CPython": sys.version.split()[0]} | {peer.name: peer.version for peer in found}
