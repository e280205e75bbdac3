"""Compares what the agent wrote with the lines that are known, request by request."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from coverage.numbits import numbits_to_nums

from tests.stress.leaves import Measured
from tests.stress.plan import Request, Work
from tests.stress.reference import Expected, Place

# Profile, run, process: what has a shard of its own.
Owner = tuple[str, str, int]
# The lines of one owner by context.
Found = dict[Owner, dict[str, set[Place]]]


@dataclass(frozen=True)
class Record:
    """When and where a request was served; nanoseconds of the machine's clock."""

    number: int
    pid: int
    began: int
    ended: int
    answer: str

    @classmethod
    def parse(cls, line: str) -> Record:
        """Read what `support.Recording` wrote."""
        number, pid, began, ended, answer = line.split()
        return cls(int(number), int(pid), int(began), int(ended), answer.replace("_", " "))


@dataclass
class Counts:
    """The result of a scenario."""

    requests: int = 0
    overlapping: int = 0
    # Lines that a profile has and that none of its work executed.
    wrong: int = 0
    # Lines that a profile's work executed and that it lacks.
    lost: int = 0
    # Runs that were compared line by line as one request's.
    alone: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"requests {self.requests} overlapping {self.overlapping} wrong {self.wrong} lost {self.lost}"

    def add(self, kind: str, places: Iterable[Place], owner: object, measured: Measured) -> None:
        """Count lines, and keep the first for people."""
        for path, line in sorted(places):
            if kind == "wrong":
                self.wrong += 1
            else:
                self.lost += 1
            if len(self.examples) < 40:
                whose = measured.keys.get((path, line), "any")
                text = measured.text(path, line)
                self.examples.append(f"{kind}: {owner}: {path}:{line} (key {whose}): {text}")


@dataclass(frozen=True)
class Shard:
    """A data file of one owner."""

    path: Path
    owner: Owner
    # Its lines by context.
    lines: Mapping[str, set[Place]]


def read_shards(directory: Path) -> list[Shard]:
    """Read every shard. Not through coverage.py: there are thousands, and it takes a hundred times as long."""
    return [_read_shard(path) for path in sorted(directory.glob("*.coverage.*"))]


def _read_shard(path: Path) -> Shard:
    pid = int(path.name.rsplit(".", 2)[1].removeprefix("pid"))
    lines: dict[str, set[Place]] = defaultdict(set)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        meta = dict(db.execute("select key, value from meta"))
        rows = db.execute(
            "select context.context, file.path, numbits from line_bits "
            "join context on context.id = context_id join file on file.id = file_id"
        )
        for context, file, numbits in rows:
            lines[context].update((file, line) for line in numbits_to_nums(numbits))
    return Shard(path, (meta["playtrace_slug"], meta["playtrace_run"], pid), lines)


def together(shards: Iterable[Shard]) -> Found:
    """Return what all shards hold."""
    found: Found = defaultdict(lambda: defaultdict(set))
    for shard in shards:
        for context, places in shard.lines.items():
            found[shard.owner][context] |= places
    return found


def by_profile(
    found: Found,
    requests: Sequence[Request],
    records: Mapping[int, Record],
    expected: Mapping[Work, Expected],
    measured: Measured,
) -> Counts:
    """Compare each run's lines in each process with those of the requests that it served for that run.

    Every request has lines that only its key reaches, and no two requests of a run have the same key.
    """
    counts = Counts(len(requests), overlapping([records[request.number] for request in requests]))
    wanted: dict[Owner, set[Place]] = defaultdict(set)
    allowed: dict[Owner, set[Place]] = defaultdict(set)
    for request in requests:
        if not request.traced:
            continue
        lines, pid = expected[request.work], records[request.number].pid
        wanted[request.slug, request.run, pid] |= lines.own
        allowed[request.slug, request.run, pid] |= lines.stale
        if lines.inner:
            wanted[request.inner_slug, request.run, pid] |= lines.inner
        counts.alone += request.alone
    for owner in sorted(set(found) | set(wanted)):
        contexts = dict(found.get(owner, {}))
        own = contexts.pop(f"profile:{owner[0]}", set())
        counts.add("lost", wanted[owner] - own, owner, measured)
        counts.add("wrong", own - wanted[owner] - allowed[owner], owner, measured)
        for context, others in sorted(contexts.items()):
            counts.add("wrong", others, (*owner, context), measured)
    return counts


def by_request(
    found: Found,
    requests: Sequence[Request],
    records: Mapping[int, Record],
    expected: Mapping[Work, Expected],
    measured: Measured,
) -> Counts:
    """Compare each request's own context, `profile:<slug>:<request>`, with its lines.

    Which request a context is of is told by its label where that ends in the request's step, else by the key of most of
    its lines. A request's `trace()` blocks for another profile each have a context of their own: together they are
    what the request did for it.
    """
    named = {f"profile:{request.slug}:{request.number}": request.key for request in requests if request.traced}
    counts = Counts(len(requests), overlapping([records[request.number] for request in requests]))
    wanted: dict[tuple[Owner, int], tuple[frozenset[Place], frozenset[Place]]] = {}
    for request in requests:
        if not request.traced:
            continue
        lines, pid = expected[request.work], records[request.number].pid
        wanted[(request.slug, request.run, pid), request.key] = (lines.own, lines.stale)
        if lines.inner:
            wanted[(request.inner_slug, request.run, pid), request.key] = (lines.inner, frozenset())
        counts.alone += 1
    for owner, contexts in sorted(found.items()):
        blocks: dict[int, set[Place]] = defaultdict(set)
        for context, executed in sorted(contexts.items()):
            if context in named or not context.startswith(f"profile:{owner[0]}:"):
                # A label that names a request is taken at its word.
                own, stale = wanted.pop((owner, named.get(context, -1)), (frozenset(), frozenset()))
                counts.add("lost", own - executed, (*owner, context), measured)
                counts.add("wrong", executed - own - stale, (*owner, context), measured)
                continue
            keys = Counter(measured.keys[place] for place in executed if place in measured.keys)
            blocks[keys.most_common(1)[0][0] if keys else -1] |= executed
        for key, executed in sorted(blocks.items()):
            own, stale = wanted.pop((owner, key), (frozenset(), frozenset()))
            counts.add("lost", own - executed, (*owner, f"blocks of key {key}"), measured)
            counts.add("wrong", executed - own - stale, (*owner, f"blocks of key {key}"), measured)
    for (owner, key), (own, _) in sorted(wanted.items()):
        counts.add("lost", own, (*owner, key), measured)
    return counts


def overlapping(records: Sequence[Record]) -> int:
    """How many requests ran, for a while, while another one did."""
    latest = sorted(records, key=lambda record: record.began)
    overlap: set[int] = set()
    running: list[Record] = []
    for record in latest:
        running = [other for other in running if other.ended > record.began]
        if running:
            overlap.add(record.number)
            overlap.update(other.number for other in running)
        running.append(record)
    return len(overlap)


def within_processes(records: Sequence[Record]) -> int:
    """How many requests ran while another one did in the same process."""
    by_pid: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_pid[record.pid].append(record)
    return sum(overlapping(of_one) for of_one in by_pid.values())


def read_records(path: Path) -> Iterator[Record]:
    """Read the whole records; the last line may be under way."""
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines(keepends=True):
            if line.endswith("\n"):
                yield Record.parse(line)
