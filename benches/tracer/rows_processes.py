"""Rows that need processes of their own: neighbour, first, new lines, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from .estimate import Estimate
from .processes import WorkerError, Workers
from .results import Row, not_measured, row
from .rounds import Samples, turns
from .setting import Setting

_HEADERS = {"X-Profile-Trace": "bench", "X-Profile-Trace-Run": "one"}

#: Requests of the untraced thread that are timed at once.
_NEIGHBOUR = {"loops": 2, "calls": 2, "recursion": 2, "flask.trivial": 60, "flask.template": 3}
_CALL_BOUND = ("calls", "recursion", "generators")
#: Bodies of a traced request beside another profile.
_BESIDE = ("loops", "nbody", "calls", "recursion", "generators")

#: Code objects that run for the first time in a sample of `first`: files, and functions in each.
_FILES, _FUNCTIONS = 20, 15
#: What is executed first: of interest or not, in a traced request or in another one of a process that traces.
_FIRST = {"traced": ("generated", True), "untraced": ("generated", False), "other": ("elsewhere", True)}

_PROFILES = 8
_MEGABYTE = 1_000_000.0


@contextmanager
def _started(setting: Setting, ways: dict[str, str], group: int) -> Iterator[Workers]:
    """The processes of one group, ready."""
    with Workers() as workers:
        for name, way in ways.items():
            workers.add(name, setting.start(f"{name.replace(' ', '-')}-{group}", way))
        workers.await_ready()
        yield workers


def neighbour(setting: Setting, how: str, say: Callable[[str], None]) -> list[Row]:
    """An untraced thread beside a traced one, and a profile beside another one: what their requests take."""
    ways = {"twin n": "twin", "twin n again": "twin", "agent n": "agent", "ctrace n": "ctrace", "sysmon n": "sysmon"}
    samples = Samples()
    missing: dict[str, str] = {}
    groups, rounds = (2, 3) if setting.quick else (4, 7)
    for group in range(groups):
        say(f"{setting.version}: neighbour, processes {group + 1} of {groups}")
        with _started(setting, ways, group) as workers:
            missing |= workers.missing
            for name, worker in workers.by_name.items():
                for body in _NEIGHBOUR:
                    for headers in ({}, _HEADERS, _HEADERS, {}):
                        slow = name.startswith(("ctrace", "sysmon"))
                        worker.do("time", name=body, headers=headers, count=1 if slow else 3)
            for turn in range(rounds):
                for body, count in _NEIGHBOUR.items():
                    for name in turns(list(workers.by_name), turn):
                        if name.startswith(("ctrace", "sysmon")) and turn % 3:
                            continue
                        worker = workers.by_name[name]
                        seconds = worker.do("neighbour", name=body, headers=_HEADERS, count=count)
                        samples.note(name, body, group, turn, seconds / count)
                for body in _BESIDE:
                    for name in turns([name for name in workers.by_name if name.startswith(("twin", "agent"))], turn):
                        headers = _HEADERS if name == "agent n" else {}
                        seconds = workers.by_name[name].do("beside", name=body, headers=headers, count=1)
                        samples.note(name, f"beside-{body}", group, turn, seconds)
    made = []
    for body in (*_NEIGHBOUR, *(f"beside-{body}" for body in _BESIDE)):
        ident = f"neighbour.{body.replace('.', '-')}.{setting.version}"
        if "agent n" in missing:
            made.append(not_measured(ident, missing["agent n"], how))
            continue
        peers = {
            name: samples.ratio(f"{name} n", "twin n", body).value
            for name in ("ctrace", "sysmon")
            if samples.has(f"{name} n", body)
        }
        control = samples.ratio("twin n again", "twin n", body)
        target = 1.5 if body.removeprefix("beside-") in _CALL_BOUND else None
        made.append(row(ident, samples.ratio("agent n", "twin n", body), control, how, peers, target=target))
    return made


def first(setting: Setting, how: str, say: Callable[[str], None]) -> list[Row]:
    """What the first execution of a code object costs where the process traces; and requests that have new lines."""
    ways = {"twin f": "twin", "twin f again": "twin", "agent f": "agent", "floor f": "floor", "least f": "least"}
    samples = Samples()
    missing: dict[str, str] = {}
    late: list[float] = []
    groups, rounds = (2, 3) if setting.quick else (3, 7)
    serial = 0
    for group in range(groups):
        say(f"{setting.version}: first, processes {group + 1} of {groups}")
        with _started(setting, ways, group) as workers:
            missing |= workers.missing
            for turn in range(-1, rounds):
                for what, (folder, traced) in _FIRST.items():
                    serial += 1
                    for name in turns(list(workers.by_name), turn):
                        worker = workers.by_name[name]
                        # The process traces, whatever the request is that is timed.
                        worker.do("answer", name="trivial", headers=_HEADERS)
                        seconds = worker.do(
                            "first",
                            folder=folder,
                            serial=serial,
                            files=_FILES,
                            functions=_FUNCTIONS,
                            headers=_HEADERS if traced else {},
                        )
                        # The first turn warms up.
                        if turn >= 0:
                            samples.note(name, what, group, turn, seconds)
                        if name == "agent f" and what == "traced":
                            late.append(worker.do("late") / (_FILES * _FUNCTIONS) * 1e6)
                for name in turns(list(workers.by_name), turn):
                    seconds = workers.by_name[name].do("new-lines", slug="bench", run=f"new-{group}-{turn}")
                    if turn >= 0:
                        samples.note(name, "new-lines", group, turn, seconds)
            if "least f" in workers.by_name and (missed := workers.by_name["least f"].do("missed")):
                raise WorkerError(f"the least recorder had no room for {missed} lines or code objects")
    made = []
    for what in (*_FIRST, "new-lines"):
        ident = f"first.{what}.{setting.version}" if what in _FIRST else f"fixed.new-lines.{setting.version}"
        if "agent f" in missing:
            made.append(not_measured(ident, missing["agent f"], how))
            continue
        measured, control = samples.more("agent f", "twin f", what), samples.more("twin f again", "twin f", what)
        target = 20.0 + 150.0 if what == "new-lines" else None
        peers = {"floor": samples.more("floor f", "twin f", what).value} if what in _FIRST else {}
        if what == "traced":
            # Not in the row: a later request of the run writes the shard, for all that came meanwhile.
            peers["shard later"] = median(late)
        found = row(ident, measured, control, how, peers, target=target, null=0.0)
        if what in _FIRST and samples.has("least f", what):
            found.above(samples.more("least f", "twin f", what).value)
        made.append(found)
    return made


def memory(setting: Setting, how: str, say: Callable[[str], None]) -> list[Row]:
    """What a process that traces needs more than its twin, and whether it grows."""
    say(f"{setting.version}: memory")
    files, requests = (200, 5_000) if setting.quick else (1_000, 100_000)
    ident, growth = f"memory.files.{setting.version}", f"memory.growth.{setting.version}"
    needs: dict[str, float] = {}
    grown: dict[str, float] = {}
    answers: set[int] = set()
    with _started(setting, {"twin m": "twin", "twin m again": "twin", "agent m": "agent"}, 0) as workers:
        if "agent m" in workers.missing:
            why = workers.missing["agent m"]
            return [not_measured(ident, why, how), not_measured(growth, why, how)]
        for name, worker in workers.by_name.items():
            worker.do("load-files", files=files)
            touched = worker.do("touch-files", profiles=_PROFILES)
            answers.add(touched)
            if len(answers) > 1:
                raise WorkerError(f"{name} answers {touched}, another one otherwise")
            needs[name] = worker.do("private") / _MEGABYTE
        for name, worker in workers.by_name.items():
            # What grows once (buffers, caches) has grown then.
            worker.do("requests", count=requests // 10, profiles=_PROFILES)
            before = worker.do("private")
            worker.do("requests", count=requests, profiles=_PROFILES)
            grown[name] = (worker.do("private") - before) / _MEGABYTE
    made = []
    for name, values, target in ((ident, needs, 16.0), (growth, grown, 1.0)):
        value = values["agent m"] - values["twin m"]
        control = values["twin m again"] - values["twin m"]
        made.append(
            row(
                name,
                _single(value),
                _single(control),
                how,
                _leaks(setting) if name == growth else {},
                target=target,
                null=0.0,
            )
        )
    return made


def _leaks(setting: Setting) -> dict[str, float | None]:
    """What today's way grows by in a hundred requests, scaled to as many as ours are asked for."""
    found: dict[str, float | None] = {}
    asked, scale = (40, 125.0) if setting.quick else (200, 500.0)
    with _started(setting, {"ctrace m": "ctrace", "sysmon m": "sysmon"}, 0) as workers:
        for name, worker in workers.by_name.items():
            worker.do("requests", count=asked, profiles=_PROFILES)
            readings = []
            for _ in range(2):
                before = worker.do("private")
                worker.do("requests", count=asked, profiles=_PROFILES)
                readings.append(worker.do("private") - before)
            found[name.removesuffix(" m")] = median(readings) / _MEGABYTE * scale
    return found


def _single(value: float) -> Estimate:
    """A measurement of memory is exact: it has no interval."""
    return Estimate(value, value, value)
