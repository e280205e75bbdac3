"""What is run: `suites.toml`, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Package:
    """A package whose source is measured while its own tests run."""

    name: str
    #: `cpython` (the interpreter's standard library) or `pytest`.
    runner: str
    #: The source distribution that is unpacked; empty for the standard library, and where the wheel has the tests.
    release: str
    #: Below the unpacked source: what goes onto `sys.path`.
    path: str
    #: Pieces, each run in a process of its own.
    pieces: tuple[tuple[str, ...], ...]
    #: Pieces that are also run with one watcher at a time.
    apart: tuple[tuple[str, ...], ...]
    #: Test ids (beginnings of them) → why they are not run.
    left_out_tests: dict[str, str]
    #: Files → why they are not compared.
    left_out_files: dict[str, str]


def read(file: Path = HERE / "suites.toml") -> list[Package]:
    """Read the packages, in the order in which they run."""
    packages = []
    for table in tomllib.loads(file.read_text(encoding="utf-8"))["package"]:
        packages.append(
            Package(
                name=table["name"],
                runner=table["runner"],
                release=table.get("release", ""),
                path=table.get("path", ""),
                pieces=tuple(tuple(piece) for piece in table["pieces"]),
                apart=tuple(tuple(piece) for piece in table.get("apart", [])),
                left_out_tests=table.get("left_out_tests", {}),
                left_out_files=table.get("left_out_files", {}),
            )
        )
        unknown = set(packages[-1].apart) - set(packages[-1].pieces)
        if unknown:
            raise ValueError(f"{file}: {table['name']}: `apart` names what is no piece: {sorted(unknown)}")
    return packages
