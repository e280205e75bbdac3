"""What the end-to-end tests share: running the program, watching a run's ledger, holding a job up."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.gate import Gate
from tests.oracle import surroundings
from tests.oracle.run import Lines, read_contexts

from stack import Stack, StackOptions  # isort: skip

# One replay takes a few seconds; a loaded machine is given ten times that.
REPLAY_SECONDS = 120.0
# Functions that only the first caller in a process executes, as demo/expected.toml names them.
COLD_ONLY_FILE = surroundings.DEMO / "expected.toml"


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    argv: Sequence[str]
    code: int
    out: str
    err: str

    def expect(self, code: int) -> Self:
        """Itself, when it ended with that code; else everything that it said."""
        assert self.code == code, f"{self} ended with {self.code}, not {code}\n{self.out}\n{self.err}"
        return self

    @property
    def text(self) -> str:
        """All it said, in words separated by single spaces: messages are wrapped to the terminal."""
        decoration = str.maketrans(dict.fromkeys("│╰╭─▶├", " "))
        return " ".join(f"{self.out} {self.err}".translate(decoration).split())

    def __str__(self) -> str:
        return " ".join(self.argv)


def run(
    argv: Sequence[str | Path],
    env: Mapping[str, str],
    *,
    cwd: Path = surroundings.REPOSITORY,
    timeout: float = REPLAY_SECONDS,
) -> Ended:
    """Run a program to its end."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, env=dict(env), cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)
    return Ended(words, done.returncode, done.stdout, done.stderr)


def environment(stack: Stack, **changes: str | None) -> dict[str, str]:
    """What a person has in their shell who types commands against this stack; `None` removes a variable."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PROFILE_", "ADMIN_", "ENABLE_"))}
    env |= stack.exports() | {"NO_COLOR": "1", "PATH": f"{surroundings.program().parent}:{os.environ['PATH']}"}
    for key, value in changes.items():
        env.pop(key, None)
        if value is not None:
            env[key] = value
    return env


def playtrace(stack: Stack, *arguments: str | Path, **changes: str | None) -> Ended:
    """Run the program against a stack."""
    return run([surroundings.program(), *arguments], environment(stack, **changes))


def coverage(*arguments: str | Path, cwd: Path) -> Ended:
    """Run coverage.py's own command."""
    argv = [sys.executable, "-m", "coverage", *arguments]
    return run(argv, {**os.environ, "PYTHONWARNINGS": "default"}, cwd=cwd)


def options(out: Path, **changes: Any) -> StackOptions:
    """A stack of the demo with the service."""
    return StackOptions(
        **{"out": out, "redis_server": surroundings.redis_server(), "playtrace": surroundings.program()} | changes
    )


@dataclass(frozen=True)
class Verdict:
    """What a merge says about a profile's data."""

    document: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `<slug>.verdict.json`."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @property
    def status(self) -> str:
        """The verdict."""
        return str(self.document["status"])

    @property
    def reasons(self) -> str:
        """All reasons as one text."""
        return json.dumps(self.document["reasons"], ensure_ascii=False)


def verdict_of(stack: Stack, slug: str) -> Verdict:
    """The verdict beside the profile's merged file."""
    return Verdict.read(stack.coverage_dir / f"{slug}.verdict.json")


def contexts_of(stack: Stack, slug: str) -> dict[str, Lines]:
    """The contexts in the profile's merged file."""
    return read_contexts(stack.coverage_dir / f"{slug}.coverage")


# Ledgers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One record of a ledger and the process that wrote it."""

    pid: int
    record: dict[str, Any]

    @property
    def kind(self) -> str:
        """What the record is about."""
        return str(self.record["t"])


def opened_in(map_file: Path) -> list[bytes]:
    """The beginnings of units in a memory map, as lines of the ledger; none if there is no map."""
    raw = map_file.read_bytes() if map_file.exists() else b""
    lines, at, end = [], 16, 16 + int.from_bytes(raw[8:16], "little")
    while at + 8 <= end <= len(raw):
        word, at = int.from_bytes(raw[at : at + 8], "little"), at + 8
        length = 0 if word & 3 == 1 else word >> 32
        if word & 0x3FF == 2 << 2:
            lines.append(raw[at : at + length])
        at += (length + 7) // 8 * 8
    return lines


def ledger(coverage_dir: Path, slug: str, run_token: str = "*") -> list[Entry]:
    """All whole records of a profile's runs, in the files' order, with what began by the memory maps. A line that is
    being written is left out.
    """
    entries: list[Entry] = []
    for path in sorted((coverage_dir / ".playtrace" / slug).glob(f"{run_token}/*.ledger")):
        pid = 0
        opened = [line + b"\n" for line in opened_in(path.with_suffix(".lines"))]
        lines = path.read_bytes().splitlines(keepends=True)
        for line in [*lines, *(line for line in opened if line not in lines)]:
            if not line.endswith(b"\n"):
                continue
            record = json.loads(line[18:])
            pid = record["process"]["pid"] if record["t"] == "boot" else pid
            entries.append(Entry(pid, record))
    return entries


def open_units(entries: Sequence[Entry], **wanted: object) -> list[Entry]:
    """Work that has begun and not ended, with these values in its `open` record."""
    closed = {(entry.pid, entry.record["unit"]) for entry in entries if entry.kind == "closed"}
    return [
        entry
        for entry in entries
        if entry.kind == "open"
        and (entry.pid, entry.record["unit"]) not in closed
        and all(entry.record.get(key) == value for key, value in wanted.items())
    ]


# Waiting -------------------------------------------------------------------------------------------


def until[T](look: Callable[[], T | None], what: str, timeout: float = REPLAY_SECONDS) -> T:
    """Look again and again until there is something; fail, saying what was awaited, when there never is."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)


@dataclass
class Replay:
    """A replay that is under way."""

    argv: Sequence[str]
    process: subprocess.Popen[str]
    output: Path
    sandbox: Path
    gate: Gate

    @classmethod
    def begin(cls, stack: Stack, output: Path, *arguments: str | Path) -> Self:
        """Start a command that replays one profile, and wait until its sandbox is there.

        Its requests wait until `holding` has what it holds.
        """
        gate = Gate(stack.exports()["PROFILE_PLAYBACK_BASE_URL"])
        runs = Path(stack.exports()["PROFILE_PLAYBACK_RUN_ROOT"])
        before = set(runs.iterdir())
        argv = [str(word) for word in (surroundings.program(), *arguments)]
        with output.open("w", encoding="utf-8") as log:
            env = environment(stack, PROFILE_PLAYBACK_BASE_URL=gate.url)
            process = subprocess.Popen(argv, env=env, cwd=stack.out, stdout=log, stderr=subprocess.STDOUT, text=True)

        def sandbox() -> Path | None:
            made = sorted(set(runs.iterdir()) - before)
            said = output.read_text(encoding="utf-8")
            assert process.poll() is None, f"{argv} ended with {process.returncode} before it began:\n{said}"
            return made[0] if made else None

        return cls(argv, process, output, until(sandbox, "the sandbox"), gate)

    @contextmanager
    def holding(self, document: str) -> Iterator[None]:
        """Hold the lock of one of the run's documents, then let the run begin: whoever edits that document
        waits until the block is left.

        This is how the tests stop a request or a job in the middle of its work, without a change of the app.
        """
        path = self.sandbox / "nodb" / "locks" / f"{document}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.gate.open()
            yield

    def check(self) -> None:
        """Fail when it has ended already."""
        assert self.process.poll() is None, f"the replay has ended:\n{self.output.read_text(encoding='utf-8')}"

    def wait(self, timeout: float = REPLAY_SECONDS) -> Ended:
        """Wait for its end."""
        self.process.wait(timeout)
        said = self.output.read_text(encoding="utf-8")
        return Ended(self.argv, self.process.returncode, said, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.gate.close()


# Comparing -----------------------------------------------------------------------------------------


def without(contexts: dict[str, Lines], spans: Sequence[tuple[str, range]]) -> dict[str, Lines]:
    """Contexts without the lines of those spans."""
    left: dict[str, Lines] = {}
    for context, lines in contexts.items():
        for path, numbers in lines.items():
            dropped = {number for where, span in spans if where == path for number in span}
            if kept := numbers - dropped:
                left.setdefault(context, {})[path] = kept
    return left


def function_span(name: str) -> tuple[str, range]:
    """The measured path and the lines of a function's body, by its dotted name (`package.module.function`)."""
    module, _, function = name.rpartition(".")
    path = f"{surroundings.MEASURED_APP}/{module.replace('.', '/')}.py"
    tree = ast.parse((surroundings.ROOT / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return path, range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
    raise LookupError(f"{path} has no function {function}")


def flat(contexts: dict[str, Lines]) -> set[tuple[str, str, int]]:
    """(path, context, line) of everything."""
    return {
        (path, context, line)
        for context, lines in contexts.items()
        for path, numbers in lines.items()
        for line in numbers
    }


def only_cold_differs(one: dict[str, Lines], other: dict[str, Lines], cold_only: list[tuple[str, range]]) -> None:
    """Fail when two runs of a profile differ in a line that is not of a cold-only function."""
    left, right = flat(without(one, cold_only)), flat(without(other, cold_only))
    assert left == right, f"only one: {sorted(left - right)}, only other: {sorted(right - left)}"


def profile_only(contexts: dict[str, Lines]) -> dict[str, Lines]:
    """Without what imports ran: which profile is the first to import a module is chance."""
    return {context: lines for context, lines in contexts.items() if context != "import"}
