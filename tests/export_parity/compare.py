"""Runs coverage.py and `playtrace export` on one data file, and compares what they write."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.export_parity import pages
from tests.export_parity.cases import CASES, Case
from tests.source_parity.places import Oracle

SCRIPT = Path(__file__).parent / "make_data.py"


@dataclass
class Tally:
    """A package under one oracle."""

    package: str
    oracle: Oracle
    files: int = 0
    statements: int = 0
    #: How many reports were compared, and what of them differs.
    reports: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.package}: files {self.files} statements {self.statements} mismatches {len(self.differences)}"
            f"  ({self.reports} reports; {self.oracle.described})"
        )


def make_data(oracle: Oracle, data: Path, files: Sequence[Path], kind: str = "lines") -> None:
    """Have coverage.py write a data file about these files."""
    names = "".join(f"{file}\n" for file in files)
    subprocess.run([oracle.interpreter, SCRIPT, data, kind], input=names, text=True, check=True)


def measure(
    program: Path,
    package: str,
    oracle: Oracle,
    home: Path,
    files: Sequence[Path],
    work: Path,
    cases: Sequence[Case] = CASES,
) -> Tally:
    """Compare all reports of a package."""
    tally = Tally(package, oracle, files=len(files))
    data = work / "data.coverage"
    make_data(oracle, data, files)
    for case in cases:
        config = work / "rcfile"
        config.write_text(case.config, encoding="utf-8")
        their = by_coverage(oracle, home, case, data, config, work / "theirs")
        our = by_playtrace(program, oracle, home, case, data, config, work / "ours")
        tally.reports += 1
        tally.differences += [f"{package}, {case.name}: {text}" for text in differences(their, our)]
        if case.name == "text":
            tally.statements = int(their.splitlines()[-1].split()[1])
    return tally


def by_coverage(oracle: Oracle, home: Path, case: Case, data: Path, config: Path, out: Path) -> Any:
    """What coverage.py writes, made comparable."""
    command = [str(oracle.interpreter), "-m", "coverage", case.command, "--ignore-errors", f"--rcfile={config}"]
    return written(command, home, case, data, out, f"--data-file={data}", "-d" if case.format == "html" else "-o")


def by_playtrace(program: Path, oracle: Oracle, home: Path, case: Case, data: Path, config: Path, out: Path) -> Any:
    """What `playtrace export` writes, made comparable."""
    rules = ["--python-version", oracle.python, "--coverage-version", oracle.coverage]
    tree = ["--source", str(home), "--config", str(config), "--no-cache"]
    command = [str(program), "export", "--format", case.format, "--ignore-errors", *rules, *tree]
    return written(command, home, case, data, out, str(data), "-o")


def written(command: list[str], home: Path, case: Case, data: Path, out: Path, where: str, to: str) -> Any:
    """Run one of them."""
    options = [option for option in case.options if "export" not in command or not option.startswith("--format")]
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True) if out.is_file() else None
    is_table = case.command == "report"
    more = [where] if is_table else [where, to, str(out)]
    done = subprocess.run([*command, *options, *more], cwd=home, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[:3]} {case.name} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    if case.format == "html":
        return pages.ours(out) if "export" in command else pages.theirs(out)
    text = done.stdout if is_table else out.read_bytes()
    if not is_table:
        out.unlink()
    return case.normal(text.decode())


def differences(their: Any, our: Any, at: str = "") -> list[str]:
    """Where two reports differ: the first lines of texts, the places of everything else."""
    if their == our:
        return []
    if isinstance(their, dict) and isinstance(our, dict):
        if their.keys() != our.keys():
            return [f"{at}: only theirs {sorted(their.keys() - our.keys())}, only ours {sorted(our.keys() - their.keys())}"]
        return [text for key in their for text in differences(their[key], our[key], f"{at}/{key}")]
    if isinstance(their, list) and isinstance(our, list) and len(their) == len(our):
        return [text for n, pair in enumerate(zip(their, our)) for text in differences(*pair, f"{at}[{n}]")][:3]
    if isinstance(their, str) and isinstance(our, str) and "\n" in their:
        lines = zip(their.splitlines(), our.splitlines())
        found = [(n, a, b) for n, (a, b) in enumerate(lines, 1) if a != b][:2]
        if not found:
            return [f"{at}: {len(their.splitlines())} lines, ours {len(our.splitlines())}"]
        return [f"{at} line {n}: {shown(a, b)}" for n, a, b in found]
    return [f"{at}: {shown(their, our)}"]


def shown(their: Any, our: Any) -> str:
    """Two values where they begin to differ."""
    a, b = repr(their), repr(our)
    same = next((n for n, pair in enumerate(zip(a, b)) if pair[0] != pair[1]), 0)
    start = max(same - 40, 0)
    return f"theirs {a[start : same + 80]}, ours {b[start : same + 80]}"
