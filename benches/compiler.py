"""Floors are written in C: what they are compiled with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path


def compiled(source: Path, built: Path, flags: Sequence[str], say: Callable[[str], None]) -> Path | None:
    """Compile a floor into `built`; `None` where there is no C compiler, or it refuses."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        say(f"no C compiler: the floor {source.name} is not measured")
        return None
    done = subprocess.run(
        [compiler, *flags, str(source), "-o", str(built)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(f"the floor {source.name} can't be compiled, and is not measured: {done.stderr.strip()[-500:]}")
        return None
    return built
