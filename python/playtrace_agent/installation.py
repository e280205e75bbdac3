"""What is installed beside the app, and where."""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path


def coverage_release() -> str | None:
    """Return the release of coverage.py that this process would import, without importing it."""
    try:
        coverage = importlib.util.find_spec("coverage")
        if coverage is None or coverage.origin is None:
            return None
        names = [path.name for path in Path(coverage.origin).parent.parent.glob("coverage-*.dist-info")]
    except (ImportError, ValueError, OSError):
        return None
    return names[0].removeprefix("coverage-").removesuffix(".dist-info") if names else None


def places() -> dict[str, list[Path]]:
    """Say where code lies that is not the app's."""
    stdlib = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")}
    third_party = {
        sysconfig.get_paths(scheme)[name]
        for scheme in sysconfig.get_scheme_names()
        for name in ("platlib", "purelib", "scripts")
    }
    tracers = {str(Path(__file__).parent)}
    coverage = importlib.util.find_spec("coverage")
    if coverage is not None and coverage.origin is not None:
        tracers.add(str(Path(coverage.origin).parent))
    return {
        "stdlib": [Path(path) for path in sorted(stdlib)],
        "third_party": [Path(path) for path in sorted(third_party)],
        "tracers": [Path(path) for path in sorted(tracers)],
    }
