"""Compares what a merge gives after a kill with what the page says was executed before it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.page import Page
from tests.kills.source import PATH, Measured
from tests.oracle import surroundings
from tests.oracle.run import read_contexts
from tests.support import Ended, Verdict, run

_COMBINE_SECONDS = 120.0
# What the verdict says of lines that a killed process had not written into its shard.
_SAVED = re.compile(r"(\d+) lines? that .*\b(\d+) on .* were taken from its (?:memory map|ledger)")
# `combine` says so of a shard that it can't read.
_UNREADABLE = "PT-CLI-COMBINE-004"
# What `combine` ends with where data is whole, and where the verdict is partial.
_WHOLE, _PARTIAL = 0, 3

# A run of a profile.
Run = tuple[str, str]


@dataclass(frozen=True)
class Work:
    """One piece of work: a request, a job, a traced block."""

    number: int
    run: Run
    names: tuple[str, ...]
    # What names it in a verdict's reason.
    unit: str
    # Whether its end was heard of, and so its unit is closed.
    answered: bool
    # Whether the ledger knows of it before it begins.
    promised: bool = False


@dataclass
class Counts:
    """What came of kills."""

    kills: int = 0
    # Lines executed before the kill that are not in the merged data.
    lost: int = 0
    # Lines in the merged data that can't have been executed, and verdicts that say something else than what happened.
    wrong: int = 0
    unreadable: int = 0
    # Kills that cut a piece of work; that left lines in no shard; that left a journal to be rolled back.
    cut: int = 0
    saved: int = 0
    hot: int = 0
    # Lines that only a map had.
    saved_lines: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, wrong or unreadable."""
        return self.lost == self.wrong == self.unreadable == 0

    def add(self, other: Counts) -> None:
        """Add what came of other kills."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Known:
    """What is known from outside the agent about one context: lines that must be there, and lines that may."""

    must: set[int] = field(default_factory=set)
    may: set[int] = field(default_factory=set)


@dataclass
class Comparison:
    """One kill: what was going on, and where its data lies."""

    directory: Path
    scratch: Path
    measured: Measured
    page: Page
    killed: int
    works: Sequence[Work]
    # Whether requests have contexts of their own.
    by_request: bool = False
    counts: Counts = field(default_factory=lambda: Counts(kills=1))

    def compare(self) -> Counts:
        """Merge each run and compare."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        in_shards = self._shards()
        runs = sorted({work.run for work in self.works})
        cut = [work for work in self.works if self._is_cut(work)]
        self.counts.cut += bool(cut)
        saved = [self._run(run, in_shards) for run in runs]
        self.counts.saved += any(saved)
        self.counts.saved_lines += sum(saved)
        return self.counts

    def _is_cut(self, work: Work) -> bool:
        now = self.page.look(work.number)
        return not now.ended and (now.pid == self.killed or work.promised)

    def _say(self, what: str, lines: Iterable[object] = ()) -> None:
        if len(self.counts.examples) < 20:
            shown = ", ".join(str(line) for line in list(lines)[:8])
            self.counts.examples.append(f"killed process {self.killed}: {what} {shown}".rstrip())

    def _shards(self) -> dict[Run, dict[str, set[int]]]:
        """Open a copy of every shard with coverage.py; what it holds by run and context."""
        found: dict[Run, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        copies = self.scratch / "shards"
        copies.mkdir()
        for path in self.directory.glob("*.coverage.*"):
            shutil.copyfile(path, copies / path.name)
        for path in sorted(copies.glob("*.coverage.*")):
            if path.name.endswith("-journal"):
                self.counts.hot = 1
                continue
            try:
                contexts = read_contexts(path, self.measured.root)
                db = sqlite3.connect(path)
                healthy = db.execute("pragma integrity_check").fetchall() == [("ok",)]
                meta = dict(db.execute("select key, value from meta"))
                db.close()
                if not healthy:
                    raise sqlite3.DatabaseError("the integrity check fails")
            except Exception as error:  # whatever coverage.py raises: the shard does not open
                self.counts.unreadable += 1
                self._say(f"{path.name} does not open: {error!r}")
                continue
            for context, lines in contexts.items():
                found[meta["playtrace_slug"], meta["playtrace_run"]][context] |= lines.get(PATH, set())
        return found

    def _run(self, run: Run, in_shards: dict[Run, dict[str, set[int]]]) -> int:
        """Compare one run's data; return how many lines of the killed process no shard had."""
        slug, token = run
        merged = self.scratch / f"{slug}.{token}"
        ended = combine(self.directory, slug, token, merged)
        works = [work for work in self.works if work.run == run]
        known = self._known(works)
        begun = any(self.page.look(work.number).pid for work in works)
        if ended.code not in (_WHOLE, _PARTIAL):
            if begun:
                lost = sum(len(lines.must) for lines in known.values())
                self.counts.lost += lost
                self.counts.wrong += not lost
                self._say(f"{slug} {token} can't be merged: {ended.text}")
            return 0
        if _UNREADABLE in ended.err:
            self.counts.unreadable += 1
            self._say(f"{slug} {token}: {ended.text}")
        contexts = {name: lines.get(PATH, set()) for name, lines in read_contexts(merged, self.measured.root).items()}
        for name in sorted({*contexts, *known}):
            of, there = known.get(name, Known()), contexts.get(name, set())
            for what, lines in (("lost", of.must - there), ("wrong", there - of.may)):
                if lines:
                    setattr(self.counts, what, getattr(self.counts, what) + len(lines))
                    self._say(f"{len(lines)} lines {what} in {name} of run {token}:", sorted(lines))
        # A living process writes its shard later.
        killed = self._known([work for work in works if self.page.look(work.number).pid == self.killed])
        lacking = {name: of.must - in_shards[run].get(name, set()) for name, of in killed.items()}
        saved = sum(len(lines & contexts.get(name, set())) for name, lines in lacking.items())
        self._verdict(Verdict.read(merged.with_suffix(".verdict.json")), run, works, saved)
        return saved

    def _known(self, works: Sequence[Work]) -> dict[str, Known]:
        known: dict[str, Known] = defaultdict(Known)
        for work in works:
            slug, _ = work.run
            now = self.page.look(work.number)
            steps = self.measured.steps(work.names)
            reached = len(steps) if now.ended else self.measured.reached(work.names, now.line)
            of = known[f"profile:{slug}:{work.number}" if self.by_request else f"profile:{slug}"]
            of.must.update(steps[:reached])
            # The agent hears of a line before it is executed.
            of.may.update(steps[: reached + (now.pid != 0)])
        return known

    def _verdict(self, verdict: Verdict, run: Run, works: Sequence[Work], saved: int) -> None:
        """Partial where work was cut, with its name and the number of lines saved; consistent where none was."""
        faults = []
        cut = [work for work in works if self._is_cut(work)]
        # Between the last line of some work and the end of its unit, and before it began, both are true.
        unsure = [work for work in works if not work.answered and self.page.look(work.number).pid in (0, self.killed)]
        if cut:
            if verdict.status != "partial":
                faults.append(f"it is {verdict.status}, and {cut[0].unit} was cut")
            if any(self.page.look(work.number).pid for work in cut) and str(self.killed) not in verdict.reasons:
                faults.append("it does not name the process")
            faults += [f"it does not name {work.unit}" for work in cut if work.unit not in verdict.reasons]
        elif verdict.status != "consistent" and not (unsure and verdict.status == "partial"):
            faults.append(f"it is {verdict.status}, and nothing was cut")
        at_fault = {work.unit for work in [*cut, *unsure]}
        for work in works:
            if work.answered and work.unit not in at_fault and work.unit in verdict.reasons:
                faults.append(f"it names {work.unit}, which came to its end")
        notes = verdict.document.get("notes", [])
        noted = [match for note in notes if (match := _SAVED.search(note))]
        if any(int(match[2]) != self.killed for match in noted):
            faults.append("it speaks of a process that was not killed")
        # Some of what the map had may be in the shard, too.
        if saved > sum(int(match[1]) for match in noted):
            faults.append(f"it does not say that {saved} lines were saved")
        for fault in faults:
            self.counts.wrong += 1
            self._say(f"verdict of {run}: {fault}: {verdict.status} {verdict.reasons} {notes}")


def combine(directory: Path, slug: str, token: str, merged: Path) -> Ended:
    """Merge one run of a profile; its shards stay."""
    argv: list[str | Path] = [surroundings.program(), "combine", "--keep", "--profile", slug, "--run", token]
    environment = {"PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    try:
        return run([*argv, "--data-file", merged, directory], environment, timeout=_COMBINE_SECONDS)
    except subprocess.TimeoutExpired:
        return Ended([str(word) for word in argv], -1, "", f"did not end within {_COMBINE_SECONDS:g} s")


def forget(directory: Path, runs: Iterable[Run]) -> None:
    """Take a round's data away, as whoever cleans up does while the processes live on."""
    for path in directory.glob("*.coverage.*"):
        path.unlink(missing_ok=True)
    for slug, token in runs:
        shutil.rmtree(directory / ".playtrace" / slug / token, ignore_errors=True)
