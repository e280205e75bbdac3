"""Runs coverage.py and `playtrace export` on one data file, and compares what they write."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

from tests.export_parity import accepted, answers, pages
from tests.export_parity.cases import CASES, Case
from tests.source_parity.places import Oracle

SCRIPT = Path(__file__).parent / "make_data.py"
DRIVER = Path(__file__).parent / "run_coverage.py"
#: Runs a script without the collection of cycles: it slows coverage.py down where much is in memory, and finds none.
UNCOLLECTED = "import gc, runpy, sys; gc.disable(); runpy.run_path(sys.argv[1], run_name='__main__')"


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


def make_data(oracle: Oracle, data: Path, files: Sequence[Path], kind: str = "lines", contexts: int = 6) -> None:
    """Have coverage.py write a data file about these files."""
    names = "".join(f"{file}\n" for file in files)
    subprocess.run([oracle.interpreter, SCRIPT, data, kind, str(contexts)], input=names, text=True, check=True)


def remove(place: Path) -> None:
    """Remove a file, or a directory with all that is in it; it need not be there."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def measure(
    program: Path,
    package: str,
    oracle: Oracle,
    home: Path,
    files: Sequence[Path],
    work: Path,
    cases: Sequence[Case] = CASES,
    contexts: int = 6,
    *,
    remember: bool = False,
) -> Tally:
    """Compare all reports of a package.

    Who asks to `remember` has coverage.py asked for what it was not asked before, and again where a report differs from
    its known answer; else it is always asked.
    """
    tally = Tally(package, oracle, files=len(files))
    data = work / "data.coverage"
    make_data(oracle, data, files, contexts=contexts)
    before = answers.known(package, oracle, home, files, contexts) if remember else None
    # Reports are large: of each there is a digest, and two that differ are made once more.
    ours: dict[str, str] = {}
    for case in cases:
        our = by_playtrace(program, oracle, home, case, data, work / "ours")
        tally.differences += accepted.leave_out(our, package, oracle.python, case)
        tally.reports += 1
        if case.name == "text":
            tally.statements = int(our.splitlines()[-1].split()[1])
        answer = answers.digest(our, home)
        del our
        if before is None or not before.knows(case, answer):
            ours[case.name] = answer
    asked = [case for case in cases if case.name in ours]
    for case, their in zip(asked, by_coverage(oracle, home, asked, data, work / "theirs"), strict=True):
        answer = answers.digest(their, home)
        # Now, not at the end: who ends it half-way keeps the half.
        if before:
            before.keep(case, answer)
        if answer != ours[case.name]:
            our = by_playtrace(program, oracle, home, case, data, work / "ours")
            accepted.leave_out(our, package, oracle.python, case)
            found = differences(their, our)
            found = found or ["two digests differ"]
            tally.differences += [f"{package}, {case.name}: {text}" for text in found]
        del their
    return tally


def by_coverage(oracle: Oracle, home: Path, cases: Sequence[Case], data: Path, work: Path) -> Iterator[Any]:
    """What coverage.py writes for each case, made comparable."""
    if not cases:
        return
    work.mkdir(exist_ok=True)
    jobs = []
    for number, case in enumerate(cases):
        config, out = work / f"rcfile-{number}", work / str(number)
        config.write_text(case.config, encoding="utf-8")
        arguments = [case.command, "--ignore-errors", f"--rcfile={config}", f"--data-file={data}", *case.options]
        if case.command != "report":
            arguments += ["-d" if case.format == "html" else "-o", str(out)]
        jobs.append({"arguments": arguments, "stdout": f"{out}.stdout"})
    command = [str(oracle.interpreter), "-c", UNCOLLECTED, str(DRIVER)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        subprocess.Popen(command, cwd=home, stdin=PIPE, stdout=PIPE, stderr=said, text=True) as driver,
    ):
        if driver.stdin is None or driver.stdout is None:
            raise RuntimeError("it was started without pipes")
        with driver.stdin:
            json.dump(jobs, driver.stdin)
        try:
            for number, case in enumerate(cases):
                if driver.stdout.readline() != "done\n":
                    said.seek(0)
                    raise RuntimeError(f"{oracle.described} ended with {driver.wait()}:\n{said.read()[-2000:]}")
                out = work / str(number)
                if case.format == "html":
                    yield pages.theirs(out)
                else:
                    yield case.normal(read(Path(f"{out}.stdout") if case.command == "report" else out))
                # Pages of large packages are many.
                remove(out)
        finally:
            # Where a comparison failed, it would go on for hours.
            driver.kill()


def by_playtrace(program: Path, oracle: Oracle, home: Path, case: Case, data: Path, work: Path) -> Any:
    """What `playtrace export` writes, made comparable."""
    work.mkdir(exist_ok=True)
    config, out = work / "rcfile", work / "out"
    config.write_text(case.config, encoding="utf-8")
    rules = ["--python-version", oracle.python, "--coverage-version", oracle.coverage]
    tree = ["--source", str(home), "--config", str(config), "--no-cache"]
    options = [option for option in case.options if not option.startswith("--format")]
    command = [str(program), "export", str(data), "--format", case.format, "--ignore-errors", *rules, *tree, *options]
    done = subprocess.run([*command, "-o", str(out)], cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"playtrace export, {case.name}, ended with {done.returncode}:\n{done.stderr[-2000:]}")
    if case.format == "html":
        facts = pages.ours(out)
        remove(out)
        return facts
    text = read(out)
    remove(out)
    return case.normal(text)


def read(file: Path) -> str:
    """A text with its line ends as they are."""
    return file.read_bytes().decode()


def differences(their: Any, our: Any, at: str = "") -> list[str]:
    """Where two reports differ: the first lines of texts, the places of everything else."""
    if their == our:
        return []
    if isinstance(their, dict) and isinstance(our, dict):
        if their.keys() != our.keys():
            only_theirs, only_ours = sorted(their.keys() - our.keys()), sorted(our.keys() - their.keys())
            return [f"{at}: only theirs {only_theirs}, only ours {only_ours}"]
        return [text for key in their for text in differences(their[key], our[key], f"{at}/{key}")]
    if isinstance(their, list) and isinstance(our, list) and len(their) == len(our):
        pairs = enumerate(zip(their, our, strict=True))
        return [text for n, pair in pairs for text in differences(*pair, f"{at}[{n}]")][:3]
    if isinstance(their, str) and isinstance(our, str) and "\n" in their:
        lines = zip(their.splitlines(), our.splitlines(), strict=False)
        found = [(n, a, b) for n, (a, b) in enumerate(lines, 1) if a != b][:2]
        if not found:
            return [f"{at}: {len(their.splitlines())} lines, ours {len(our.splitlines())}"]
        return [f"{at} line {n}: {shown(a, b)}" for n, a, b in found]
    return [f"{at}: {shown(their, our)}"]


def shown(their: Any, our: Any) -> str:
    """Two values where they begin to differ."""
    a, b = repr(their), repr(our)
    same = next((n for n, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), 0)
    start = max(same - 40, 0)
    return f"theirs {a[start : same + 80]}, ours {b[start : same + 80]}"
