"""Bodies of the pyperformance suite, run from the installed package: work of a few milliseconds each.

Their files are copied out of `site-packages`, where no tool would trace them.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import generated

Body = Callable[[], object]


def _nbody(module: Any) -> Body:
    def work() -> object:
        module.bench_nbody(1, module.DEFAULT_REFERENCE, 400)
        return None

    return work


def _spectral_norm(module: Any) -> Body:
    return lambda: round(sum(module.eval_AtA_times_u([1.0] * 90)), 6)


def _raytrace(module: Any) -> Body:
    return lambda: module.bench_raytrace(1, 8, 8, None) and None


def _hexiom(module: Any) -> Body:
    return lambda: module.main(8, 2) and None


def _logging(module: Any) -> Body:
    def work() -> object:
        stream = module.io.StringIO()
        handler = logging.StreamHandler(stream=stream)
        logger = logging.getLogger("bench.packaged")
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(handler)
        module.bench_formatted_output(15, logger, stream)
        logger.removeHandler(handler)
        return len(stream.getvalue())

    return work


#: How each body is called; those that answer with a time answer with nothing here.
BODIES: dict[str, Callable[[Any], Body]] = {
    "deltablue": lambda module: lambda: module.delta_blue(60),
    "nbody": _nbody,
    "fannkuch": lambda module: lambda: module.fannkuch(7),
    "nqueens": lambda module: lambda: module.bench_n_queens(6),
    "float": lambda module: lambda: str(module.benchmark(2_000)),
    "spectral_norm": _spectral_norm,
    "raytrace": _raytrace,
    "hexiom": _hexiom,
    "scimark": lambda module: lambda: module.bench_FFT(1, 256, 1) and None,
    "generators": lambda module: lambda: sum(module.tree(range(1_500))),
    "comprehensions": lambda module: lambda: module.bench_comprehensions(80) and None,
    "deepcopy": lambda module: lambda: module.benchmark(4) and None,
    "logging": _logging,
}


def unpack(target: Path) -> None:
    """Copy the bodies to where they are of interest."""
    spec = importlib.util.find_spec("pyperformance")
    if spec is None or spec.origin is None:
        raise ImportError("pyperformance is not installed")
    benchmarks = Path(spec.origin).parent / "data-files" / "benchmarks"
    target.mkdir(parents=True, exist_ok=True)
    for name in BODIES:
        shutil.copyfile(benchmarks / f"bm_{name}" / "run_benchmark.py", target / f"bm_{name}.py")


def body(name: str, unpacked: Path) -> Body:
    """One body, ready to be called."""
    return BODIES[name](generated.load(unpacked / f"bm_{name}.py"))


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
