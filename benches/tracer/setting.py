"""One Python version's measured processes: its interpreter, its directories, its environment variables."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .inside.least import WAYS as LEAST
from .processes import ROOT, Worker, environment

_CONFIG = """\
[run]
branch = False
include =
    {code}/*
    {work}/generated/*
    {work}/packaged/*
"""

#: The ways in which a process may be run, and the granularity that the agent is asked for.
AGENT_WAYS = {
    "agent": "profile",
    "traced": "profile",
    "never": None,
    "idle": None,
    "always": None,
    "request": "request",
    "steps": "steps",
    "symbol": "symbol",
}


@dataclass
class Setting:
    """Where one Python version is measured."""

    version: str
    python: Path
    work: Path
    quick: bool
    #: The least recorder, compiled; `None` where that could not be done.
    least: Path | None = None

    @property
    def config(self) -> Path:
        """What every tool is told to measure."""
        return self.work / "coverage.ini"

    def prepare(self) -> None:
        """Make an empty directory, and the configuration in it."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        code = Path(__file__).resolve().parent / "code"
        unpack = ["-m", "benches.tracer.inside.packaged", str(self.work / "packaged")]
        subprocess.run([str(self.python), *unpack], env=environment(), cwd=ROOT, check=True)
        self.config.write_text(_CONFIG.format(code=code, work=self.work), encoding="utf-8")

    def coverage_dir(self, name: str) -> Path:
        """Where the process of that name leaves what it traced."""
        return self.work / "coverage" / name

    def start(self, name: str, way: str, *, randomised: bool = False) -> Worker:
        """Start a process in one of the ways; `name` tells those of one apart, `randomised` is :class:`Worker`'s."""
        directory = self.coverage_dir(name)
        env = environment(BENCH_COVERAGE_DIR=str(directory), BENCH_CONFIG=str(self.config))
        through: tuple[str, ...] = ()
        inside = way
        if way in AGENT_WAYS:
            env |= self.agent_environment(directory, AGENT_WAYS[way])
            inside = way if way in ("never", "idle", "always") else "agent"
            if way == "always":
                env["PROFILE_COVERAGE_ALWAYS"] = "symbols"
        elif way in ("ctrace", "sysmon"):
            env["COVERAGE_CORE"] = way
        elif way in LEAST:
            env["BENCH_LEAST"] = "" if self.least is None else str(self.least)
        elif way == "slipcover":
            code = Path(__file__).resolve().parent / "code"
            source = f"{code},{self.work / 'generated'},{self.work / 'packaged'}"
            out = self.work / f"{name}.slipcover.json"
            through = ("-m", "slipcover", "--source", source, "--json", "--out", str(out))
        log = self.work / "logs" / f"{name}.log"
        return Worker(self.python, inside, self.work, env, log, through, randomised=randomised)

    def agent_environment(self, directory: Path, granularity: str | None) -> dict[str, str]:
        """What switches the agent on."""
        directory.mkdir(parents=True, exist_ok=True)
        env = {
            "ENABLE_PROFILE_COVERAGE": "1",
            "PROFILE_COVERAGE_DIR": str(directory),
            "PROFILE_COVERAGE_CONFIG": str(self.config),
            "PROFILE_COVERAGE_ROOT": str(ROOT),
        }
        if granularity is not None:
            env["PROFILE_COVERAGE_GRANULARITY"] = granularity
        return env
