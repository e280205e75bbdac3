"""Runs `playtrace inspect` and the oracle over the same files, and compares what they say."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.source_parity.accepted import Difference
from tests.source_parity.places import Oracle

#: How many files one run of the program is given: command lines are not endless.
CHUNK = 500
SCRIPT = Path(__file__).parent / "oracle.py"

Facts = dict[str, Any]


@dataclass
class Tally:
    """A package under one oracle."""

    package: str
    oracle: Oracle
    files: int = 0
    statements: int = 0
    symbols: int = 0
    #: Files that both refuse.
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        mismatches = len(self.differences)
        return (
            f"{self.package}: files {self.files} statements {self.statements} mismatches {mismatches}"
            f"  ({self.symbols} symbols, {self.refused} files refused by both; {self.oracle.described})"
        )


def measure(
    program: Path, package: str, oracle: Oracle, home: Path, files: Sequence[Path], processes: int = 1
) -> Tally:
    """Compare all of a package's files."""
    asked = subprocess.run(
        [oracle.interpreter, SCRIPT, str(processes)],
        input="".join(f"{file}\n" for file in files),
        capture_output=True,
        text=True,
        check=True,
    )
    tally = Tally(package, oracle)
    ours = inspect(program, oracle, home, files)
    for line in asked.stdout.splitlines():
        theirs = json.loads(line)
        path = Path(theirs["path"])
        tally.files += 1
        name = path.relative_to(home).as_posix()
        compared(tally, name, theirs, ours[path.resolve()])
    return tally


def inspect(program: Path, oracle: Oracle, home: Path, files: Sequence[Path]) -> dict[Path, Facts]:
    """What `playtrace inspect` says about each file; `error` for one that it refuses."""
    found: dict[Path, Facts] = {}
    rules = ["--python-version", oracle.python, "--coverage-version", oracle.coverage]
    for start in range(0, len(files), CHUNK):
        some = map(str, files[start : start + CHUNK])
        command = [str(program), "inspect", "--json", *rules, "--source", str(home), *some]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"playtrace inspect ended with {done.returncode}:\n{done.stderr[-2000:]}")
        document = json.loads(done.stdout)
        found |= {(home / file["path"]).resolve(): file for file in document["files"]}
        found |= {(home / file["path"]).resolve(): {"error": file["reason"]} for file in document["unparsed"]}
    return found


def compared(tally: Tally, name: str, theirs: Facts, ours: Facts) -> None:
    """Add a file to a tally."""

    def differ(line: int, what: str, detail: str) -> None:
        tally.differences.append(Difference(tally.package, name, line, tally.oracle.python, what, detail))

    if "error" in theirs or "error" in ours:
        if "error" in theirs and "error" in ours:
            tally.refused += 1
        else:
            differ(1, "refused", f"theirs {theirs.get('error')!r}, ours {ours.get('error')!r}")
        return
    tally.statements += len(theirs["statements"])
    tally.symbols += len(theirs["definitions"]) + len(theirs["lambdas"])
    for what in ("statements", "excluded", "docstrings"):
        for line in sorted(set(theirs[what]) ^ set(ours[what])):
            differ(line, what, "only theirs" if line in theirs[what] else "only ours")
    regions = our_regions(ours)
    for kind, mine in (("multiline", ours["multiline"]), ("regions", regions)):
        for item in theirs[kind]:
            if item not in mine:
                differ(first_number(item), kind, f"only theirs: {item}")
        for item in mine:
            if item not in theirs[kind]:
                differ(first_number(item), kind, f"only ours: {item}")
    if theirs["regions"] != regions and sorted(theirs["regions"]) == sorted(regions):
        differ(1, "regions", "in another order")
    for line, what, detail in symbol_differences(theirs, ours):
        differ(line, what, detail)


def first_number(item: list[Any]) -> int:
    """The first line number in a range or region."""
    return next(part for part in item if isinstance(part, int))


def our_regions(ours: Facts) -> list[list[Any]]:
    """Regions as the oracle lists them."""
    return [[region["kind"], region["name"], region["start"], region["lines"]] for region in ours["regions"]]


def symbol_differences(theirs: Facts, ours: Facts) -> Iterator[tuple[int, str, str]]:
    """Line, subject and detail of what differs between definitions and lambdas."""
    module = ours["symbols"][0]["name"]
    expected = sorted(theirs["definitions"], key=place)
    found = sorted(ours["symbols"], key=place)
    if [place(symbol) for symbol in expected] != [place(symbol) for symbol in found]:
        yield 1, "definitions", f"theirs {len(expected)}, ours {len(found)}, or at other places"
        return
    for their, our in zip(expected, found, strict=True):
        line = their.get("line", 1)
        if their["statements"] != our["statements"]:
            yield line, "own statements", f"theirs {their['statements']}, ours {our['statements']}"
        if their["kind"] == "module":
            continue
        qualname = our["name"].removeprefix(f"{module}.")
        # The compiler gives no name to what it leaves out.
        if their["qualname"] not in (None, qualname):
            yield line, "qualname", f"theirs {their['qualname']}, ours {qualname}"
        for what, mine in (
            ("kind", our["kind"]),
            ("name", qualname.rpartition(".")[2]),
            ("span", our["span"]),
            ("async", "async" in our.get("traits", [])),
            ("decorators", our.get("decorators", [])),
            ("docstring", our.get("docstring")),
        ):
            if their[what] != mine:
                yield line, what, f"theirs {their[what]}, ours {mine}"
    yield from lambda_differences(theirs["lambdas"], ours["lambdas"])


def place(symbol: Facts) -> tuple[int, int]:
    """Where a definition stands; a module before everything."""
    return (0, 0) if symbol["kind"] == "module" else (symbol["span"][0], symbol["line"])


def lambda_differences(theirs: list[Facts], ours: list[Facts]) -> Iterator[tuple[int, str, str]]:
    """All lambdas stand where the syntax tree has them; those that were compiled have CPython's names."""
    places = Counter((item["line"], item["column"]) for item in theirs if "column" in item)
    ours_placed = Counter((item["line"], item["column"]) for item in ours)
    for line, column in sorted((places - ours_placed) + (ours_placed - places)):
        yield line, "lambda", f"at column {column}"
    names = Counter((item["line"], item["qualname"]) for item in theirs if "qualname" in item)
    for line, qualname in sorted(names - Counter((item["line"], item["qualname"]) for item in ours)):
        yield line, "lambda", f"only theirs: {qualname}"
