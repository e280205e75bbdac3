"""Agents with one thing wrong, to show that the stress sees it.

Each is the workspace's source with a small text replaced. A text that is not there exactly once is an error: the source
has moved on, and the mutation has to follow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.stress.catalog import GTHREAD, SYNC, Scenario, gunicorn
from tests.stress.plan import FORKED

# What a wheel is built of.
_SOURCES = ("Cargo.toml", "Cargo.lock", "LICENSE", "crates", "xtask", "python")
_NOT_SOURCES = shutil.ignore_patterns("target", "__pycache__", "*.pyc", "*.so", ".*_cache")

# Where the agent's Python files are, as those of an installed one are in its site-packages.
_PYTHON = "python/"

_CURRENT = "crates/agent/src/current.rs"
_MONITOR = "crates/agent/src/monitor.rs"
_CALLBACKS = "crates/agent/src/callbacks.rs"
_REGISTRY = "crates/agent/src/registry.rs"
_TRACER = "crates/tracer/src/tracer.rs"

_THREAD_LOCAL = r"""
import functools, threading

class ThreadLocal:
    def __init__(self, name):
        values = threading.local()
        self.get = functools.partial(getattr, values, 'value')
        self.set = functools.partial(setattr, values, 'value')
"""


class MovedOnError(Exception):
    """A mutation's text is not in the source exactly once."""


@dataclass(frozen=True)
class Edit:
    """A text and what stands in place of it."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Replace the text below `root`.

        Raises:
            MovedOnError: It is not there exactly once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise MovedOnError(
                f"{self.file} holds {self.old!r} {count} times, not once: the source has moved on, "
                "and tests/stress/mutations.py has to follow"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Fault:
    """Something wrong in the source."""

    name: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Mutation(Fault):
    """Something wrong, and the load that it shows under."""

    scenario: Scenario
    # Whether the other Python has something to tell about it.
    on_other: bool = False
    # What verdicts must say, where lines are none the worse for it.
    says: str = ""

    @property
    def is_python(self) -> bool:
        """Whether nothing has to be compiled for it."""
        return all(edit.file.startswith(_PYTHON) for edit in self.edits)


def _shown_by(name: str, requests: int, *, threads: int = 5, only: tuple[str, ...] = (), alone: int = 4) -> Scenario:
    command = gunicorn("gthread", "--workers", "2", "--threads", str(threads))
    return replace(GTHREAD, name=name, command=command, only=only, alone=alone, requests=requests)


MUTATIONS = (
    # Tasks of many profiles take turns on one thread.
    Mutation(
        "context-in-a-thread-local",
        (
            Edit(
                _CURRENT,
                'py.import("contextvars")?.getattr("ContextVar")?',
                f'pyo3::types::PyModule::from_code(py, c"{_THREAD_LOCAL}", c"mutant.py", c"mutant")?'
                '.getattr("ThreadLocal")?',
            ),
            # It is no `ContextVar`, so it is asked by its methods.
            Edit(_CURRENT, 'QUICK_GET.store(lookup(c"PyContextVar_Get"), Ordering::Relaxed);', "let _ = lookup;"),
            Edit(_CURRENT, 'QUICK_SET.store(lookup(c"PyContextVar_Set"), Ordering::Relaxed);', ""),
        ),
        _shown_by("loops", 400, only=("loop", "tasks", "across")),
    ),
    # New runs come to code that older ones had silenced.
    Mutation(
        "no-rearming",
        (Edit(_MONITOR, "let ids = codes.iter()", "let ids = codes[..0].iter()"),),
        _shown_by("everything", 1000),
    ),
    # Code is taken to be done with when half of its lines were seen.
    Mutation(
        "half-of-the-lines",
        (Edit(_REGISTRY, "lines.dedup();", "lines.dedup(); lines.truncate(lines.len() / 2);"),),
        _shown_by("everything", 1000),
    ),
    # A context is entered in the middle of a loop whose lines are silenced.
    Mutation(
        "current-stack-not-rearmed",
        (Edit(_MONITOR, "if !any_code && !greenlets {", "if true {"),),
        _shown_by("switched", 600, threads=2, only=("switched",), alone=1),
    ),
    # Calls are made under contexts that are no more, and whose slots are others' by then.
    Mutation(
        "no-generation-check",
        (Edit(_TRACER, "occupant.filter(|o| o.generation == token.generation())", "occupant.filter(|_| true)"),),
        replace(SYNC, name="forked", only=(FORKED,), alone=1, requests=120),
    ),
    # One tool both listens everywhere for first runs, which it then silences, and reads the lines. (The second
    # registration of a callback replaces the first.) On 3.13 it loses one-line functions besides.
    Mutation(
        "one-tool",
        (
            Edit(_MONITOR, "let &[scout, reader, ..] = free", "let &[scout, _, ..] = free"),
            Edit(_MONITOR, 'monitoring.call_method1("use_tool_id", (reader, READER))?;', "let reader = scout;"),
            Edit(
                _CALLBACKS,
                "fn entered(py: Python<'_>, code: *mut ffi::PyObject, way: Way) -> Answer {",
                "fn entered(py: Python<'_>, code: *mut ffi::PyObject, way: Way) -> Answer { "
                "if registered(py, code).is_none() { scout(py, code); return Answer::Silence; }",
            ),
        ),
        _shown_by("everything", 1000),
        on_other=True,
    ),
)


class Workshop:
    """Builds wheels of mutated agents, one after the other in one place: what is the same is not compiled again."""

    def __init__(self, repository: Path, out: Path) -> None:
        self.repository = repository
        self.out = out
        self.source = out / "source"
        # Not the workspace's own build directory: a mutated library would lie there for the right one.
        self.target = Path(os.environ.get("CARGO_TARGET_DIR") or out / "cargo").absolute()

    def wheel(self, mutation: Fault, python: str) -> Path:
        """Build the wheel of one mutation.

        Raises:
            MovedOnError: The source has moved on.
            subprocess.CalledProcessError: It can't be built.
        """
        self._take_source()
        for edit in mutation.edits:
            edit.apply(self.source)
        dist = self.out / "dist" / mutation.name
        shutil.rmtree(dist, ignore_errors=True)
        argv = [python, "-m", "maturin", "build", "--release", "--locked", "--quiet", "--interpreter", python]
        # That a mutant does not use everything is no news.
        env = {**os.environ, "CARGO_TARGET_DIR": str(self.target), "RUSTFLAGS": "--cap-lints allow"}
        subprocess.run([*argv, "--out", str(dist)], cwd=self.source / "python", env=env, check=True, timeout=1800)
        (wheel,) = dist.glob("*.whl")
        return wheel

    def python(self, wheel: Path, base: str, name: str) -> str:
        """Make a virtual environment with the packages of `base`, but this agent; return its Python."""
        python, mine = self._environment(base, name)
        install = [base, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*install, "--target", str(mine), str(wheel)], check=True)
        return python

    def edited(self, mutation: Mutation, base: str, name: str) -> str:
        """Make a virtual environment with a copy of the agent of `base` that has the fault; nothing is compiled.

        Raises:
            MovedOnError: The source has moved on.
        """
        python, mine = self._environment(base, name)
        for relative, path in _agent_files(base):
            (mine / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, mine / relative)
        # The workspace's, should the installed ones be older.
        shutil.copytree(
            self.repository / "python/playtrace_agent",
            mine / "playtrace_agent",
            dirs_exist_ok=True,
            ignore=_NOT_SOURCES,
        )
        for edit in mutation.edits:
            replace(edit, file=edit.file.removeprefix(_PYTHON)).apply(mine)
        return python

    def _environment(self, base: str, name: str) -> tuple[str, Path]:
        directory = self.out / "venv" / name
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([base, "-m", "venv", "--without-pip", str(directory)], check=True)
        python = str(directory / "bin" / "python")
        mine, theirs = (_site_packages(interpreter) for interpreter in (python, base))
        # After its own, so that these come first.
        (mine / "base.pth").write_text(f"{theirs}\n", encoding="utf-8")
        return python, mine

    def _take_source(self) -> None:
        """Make the copy equal to the workspace; files that are equal already keep their times."""
        wanted = {path.relative_to(self.repository): path for name in _SOURCES for path in self._files(name)}
        for relative, path in wanted.items():
            copy = self.source / relative
            if not copy.is_file() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        for copy in list(self.source.rglob("*")):
            if copy.is_file() and copy.relative_to(self.source) not in wanted:
                copy.unlink()

    def _files(self, name: str) -> Iterator[Path]:
        path = self.repository / name
        if path.is_file():
            yield path
            return
        for directory, names, files in os.walk(path):
            ignored = _NOT_SOURCES(directory, names + files)
            names[:] = [name for name in names if name not in ignored]
            yield from (Path(directory, file) for file in files if file not in ignored)


def _site_packages(python: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def _agent_files(python: str) -> list[tuple[str, str]]:
    """Return the files of its agent, as its distribution lists them, and where they are; not those outside of it."""
    code = (
        "import importlib.metadata, json\n"
        "files = importlib.metadata.distribution('playtrace-agent').files\n"
        "print(json.dumps([(str(file), str(file.locate())) for file in files if '..' not in file.parts]))"
    )
    found = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [(relative, path) for relative, path in json.loads(found) if Path(path).is_file()]
