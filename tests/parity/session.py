"""One piece of a suite in a fresh process, watched."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Seen = dict[str, frozenset[int]]

INSIDE = Path(__file__).parent / "inside" / "parity_watched.py"
#: Seconds; a suite that takes longer hangs.
TIMEOUT = 900
BOTH = ("ctrace", "agent")


#: Answers of a run that was broken off, for `--resume`.
ANSWERS = Path(__file__).resolve().parents[2] / ".tools" / "parity" / "answers"


class NotMeasured(Exception):
    """The process gave no answer, or one that can't be compared."""


@dataclass(frozen=True)
class Work:
    """What a process is to run."""

    runner: str
    tests: tuple[str, ...]
    cwd: Path | None
    path: tuple[Path, ...]
    #: The directory whose files are measured.
    measured: Path
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """What the watchers saw, file names relative to the measured directory."""

    seen: dict[str, Seen]
    #: The lines of function bodies of each file.
    bodies: Seen
    tests: int
    failed: int
    seconds: float


def watch(python: Path, work: Work, watchers: tuple[str, ...] = BOTH, key: str = "") -> Watched:
    """Run a piece; with a key (all that the answer depends on besides), take an answer that is there already.

    Raises:
        NotMeasured: There is no answer, or ctrace was switched off by the work.
    """
    kept = ANSWERS / hashlib.sha256(repr((key, str(python), work, watchers)).encode()).hexdigest()
    if key and kept.is_file():
        return _read(work, json.loads(kept.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="parity-", ignore_cleanup_errors=True) as name:
        directory = Path(name).resolve()
        cwd = work.cwd or directory / "cwd"
        cwd.mkdir(exist_ok=True)
        request = {
            "runner": work.runner,
            "tests": work.tests,
            "left_out": work.left_out,
            "cwd": str(cwd),
            "path": [str(path) for path in work.path],
            "include": [f"{work.measured}/*"],
            "directory": str(directory),
            "watchers": watchers,
        }
        (directory / "request").write_text(json.dumps(request), encoding="utf-8")
        command = [str(python), str(INSIDE), str(directory / "request"), str(directory / "answer")]
        began = time.monotonic()
        out = directory / "out"
        with out.open("w") as stream:
            try:
                done = subprocess.run(
                    command,
                    env=_environment(),
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    timeout=TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise NotMeasured(f"{' '.join(work.tests)}: no end after {TIMEOUT} s") from error
        seconds = time.monotonic() - began
        try:
            answer: dict[str, Any] = json.loads((directory / "answer").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            said = out.read_text(errors="replace")[-2000:]
            raise NotMeasured(f"{' '.join(work.tests)}: exit code {done.returncode} and no answer:\n{said}") from error
        if answer["settrace"]:
            raise NotMeasured(f"{' '.join(work.tests)}: sys.settrace was called: {', '.join(answer['settrace'])}")
        if not answer["counts"].get("tests"):
            said = out.read_text(errors="replace")[-2000:]
            raise NotMeasured(f"{' '.join(work.tests)}: not one test ran:\n{said}")
    answer["seconds"] = seconds
    if key:
        ANSWERS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(answer), encoding="utf-8")
    return _read(work, answer)


def _read(work: Work, answer: dict[str, Any]) -> Watched:
    seen = {who: _named_from(work.measured, files) for who, files in answer["seen"].items()}
    bodies = _named_from(work.measured, answer["bodies"])
    return Watched(seen, bodies, answer["counts"]["tests"], answer["counts"]["failed"], answer["seconds"])


def _named_from(base: Path, files: dict[str, list[int]]) -> Seen:
    return {str(Path(file).relative_to(base)): frozenset(lines) for file, lines in files.items()}


def _environment() -> dict[str, str]:
    """The environment without what could steer either watcher, the order of hashes or the tests."""
    ours = ("PROFILE_", "ENABLE_PROFILE", "COVERAGE_", "PYTHON", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
