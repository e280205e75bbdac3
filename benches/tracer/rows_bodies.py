"""Rows that time the same bodies in several processes: off, never, idle, always, fixed, cpu and their like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .inside.packaged import BODIES as PACKAGED
from .processes import WorkerError, Workers
from .results import Row, not_measured, row
from .rounds import Samples, own_twin, turns
from .setting import Setting
from .traced_lines import same_lines

#: Requests that are timed at once, so that they take some 3 ms; one, where nothing is said.
COUNTS = {
    "trivial": 400,
    "flat": 40,
    "calls": 2,
    "flask.trivial": 40,
    "flask.template": 2,
    "flask.calls": 2,
    "flask.flat": 20,
}
WAITING = ("waiting", "flask.waiting")
PACKAGES = tuple(PACKAGED)
CPU = ("loops", "calls", *PACKAGES)
#: Of the packaged ones, those that are bound by loops.
LOOPS = ("loops", "one-line", "nbody", "fannkuch", "float", "spectral_norm", "scimark", "flask.loops")
BODIES = (
    *("trivial", "loops", "one-line", "calls", "recursion", "flat", "waiting"),
    *("flask.trivial", "flask.template", "flask.loops", "flask.calls", "flask.flat", "flask.waiting"),
    *PACKAGES,
)
#: Bodies that are timed besides those of the row `cpu`.
BESIDES = ("one-line", "recursion", "flat", "flask.loops", "flask.calls", "flask.template", "flask.flat", *WAITING)
FIXED = ("trivial", "flask.trivial")
#: Of these ways each process is its own twin with those bodies: it makes the same requests untraced, in turn. What is
#: to be told there is less than two processes differ by.
_OWN_TWINS = ("twin", "traced", "least")
UNTRACED_VIEWS = ("flask.trivial", "flask.template", "flask.loops", "flask.calls")

#: Which bodies each way is timed on, and in how many rounds: 1 is every round. What takes long is asked less often.
_Ways = dict[str, tuple[Sequence[str], int]]

_TRACED_WAYS: _Ways = {
    "twin": (BODIES, 1),
    "twin again": (BODIES, 1),
    "agent": (BODIES, 1),
    "request": ((*LOOPS, "flat", "flask.flat"), 1),
    "steps": ((*CPU, *BESIDES), 1),
    "floor": (("flat", "flask.flat"), 1),
    "least": (("flat", "flask.flat"), 1),
    "least-silent": (LOOPS, 1),
    "slipcover": (CPU, 1),
    "ctrace": (("flask.trivial", "trivial", "flat", "flask.loops", *CPU), 5),
    "sysmon": (("flask.trivial", "trivial", "flat", "flask.loops", *CPU), 5),
}
#: What is told apart here differs by a hundredth: more sets of processes, and fewer ways and bodies in each.
_FEW_CPU = ("loops", "calls", "deltablue", "nbody", "generators", "comprehensions", "logging")
_UNTRACED_BODIES = (*(body for body in BODIES if body not in PACKAGES), *_FEW_CPU[2:])
_UNTRACED_WAYS: _Ways = {
    "twin": (_UNTRACED_BODIES, 1),
    "twin again": (_UNTRACED_BODIES, 1),
    "off": (("trivial", *UNTRACED_VIEWS, "loops", "calls"), 1),
    "never": ((*(body for body in _UNTRACED_BODIES if "flat" not in body),), 1),
    "idle": (_UNTRACED_BODIES, 1),
    "always": ((*(body for body in _UNTRACED_BODIES if "flat" not in body),), 1),
    # A request's fixed cost is a few hundredths of what a framework takes.
    "traced": (FIXED, 1),
    "least": (FIXED, 1),
}
_UNTRACED = "untraced"
TRACED = ("agent", "traced", "request", "steps", "least", "least-silent", "ctrace", "sysmon")
#: How often a body is run, three times over, before it is timed.
_WARM = 3


@dataclass
class Measured:
    """All samples, and what else was found out."""

    samples: Samples
    #: Of requests without the header: off, never, idle, always.
    untraced: Samples
    #: Why a way could not be measured.
    missing: dict[str, str]
    #: What the agent that is off has left in its process.
    left: list[str]

    def of(self, way: str) -> Samples:
        """Where a way was timed beside its twins."""
        return self.untraced if way in _UNTRACED_WAYS else self.samples


@dataclass(frozen=True)
class _Stage:
    """Sets of processes that are started one after the other."""

    name: str
    ways: _Ways
    groups: int
    rounds: int
    #: Whether each process has its objects elsewhere.
    randomised: bool

    def order(self, group: int) -> list[str]:
        """The ways; in every other group, the other way round."""
        return list(self.ways)[:: 1 if group % 2 == 0 else -1]


def headers(way: str) -> dict[str, str]:
    """What a request carries."""
    return {"X-Profile-Trace": "bench", "X-Profile-Trace-Run": "one"} if way in TRACED else {}


def measure(setting: Setting, say: Callable[[str], None]) -> Measured:
    """Time all bodies in all ways."""
    measured = Measured(Samples(), Samples(), {}, [])
    quick = setting.quick
    traced = _Stage("traced", _TRACED_WAYS, *((2, 3) if quick else (8, 5)), randomised=False)
    # Hundredths are told apart here: what addresses do must come out of the mean, and not be taken for a cost.
    untraced = _Stage(_UNTRACED, _UNTRACED_WAYS, *((2, 3) if quick else (16, 3)), randomised=True)
    for stage, samples in ((traced, measured.samples), (untraced, measured.untraced)):
        for group in range(stage.groups):
            say(f"{setting.version}: {stage.name} bodies, processes {group + 1} of {stage.groups}")
            with Workers() as workers:
                for name in stage.order(group):
                    way = name.partition(" ")[0]
                    label = f"{stage.name}-{way}-{name.count(' ')}-{group}"
                    workers.add(name, setting.start(label, way, randomised=stage.randomised))
                workers.await_ready()
                measured.missing |= workers.missing
                _prepare(setting, stage, workers, measured, group)
                for turn in range(stage.rounds):
                    _round(stage, workers, samples, group, turn)
    return measured


def _prepare(setting: Setting, stage: _Stage, workers: Workers, measured: Measured, group: int) -> None:
    """Warm up, and compare what every process answers and what every tracer saw."""
    _compare_lines(setting, stage, workers, group)
    answers: dict[str, str] = {}
    for name in turns(list(workers.by_name), group):
        worker, way = workers.by_name[name], name.partition(" ")[0]
        for body in stage.ways[name][0]:
            if name == "idle":
                # It ends a trace first, and what it answers then is compared.
                worker.do("time", name=body, headers=headers("agent"), count=_WARM)
            answer = worker.do("answer", name=body, headers=headers(way))
            if answers.setdefault(body, answer) != answer:
                raise WorkerError(f"{name}: {body} answers {answer}, elsewhere {answers[body]}")
            if stage.ways[name][1] == 1:
                worker.do("time", name=body, headers=headers(way), count=_WARM)
    for name in workers.by_name:
        if name.startswith("least"):
            workers.by_name[name].do("exact", headers=headers(name))
    if "off" in workers.by_name:
        measured.left = workers.by_name["off"].do("left")
    if "idle" in workers.by_name:
        workers.by_name["idle"].do("rest")
        for body in stage.ways["idle"][0]:
            workers.by_name["idle"].do("time", name=body, headers={}, count=_WARM)


def _compare_lines(setting: Setting, stage: _Stage, workers: Workers, group: int) -> None:
    """The agent and coverage.py's ctrace must have seen the same lines of the same requests."""
    if not {"agent", "ctrace"} <= workers.by_name.keys():
        return
    for name in ("agent", "ctrace"):
        for body in stage.ways["ctrace"][0]:
            workers.by_name[name].do("answer", name=body, headers=headers(name))
        workers.by_name[name].do("save")
    wrong = same_lines(*(setting.coverage_dir(f"{stage.name}-{way}-0-{group}") for way in ("agent", "ctrace")))
    if wrong:
        raise WorkerError(f"the agent and coverage.py's ctrace saw different lines: {wrong}")


def _round(stage: _Stage, workers: Workers, samples: Samples, group: int, turn: int) -> None:
    for body in BODIES:
        ways = stage.ways
        asked = [name for name in workers.by_name if body in ways[name][0] and turn % ways[name][1] == 0]
        for name in turns(asked, turn) if asked else ():
            count = COUNTS.get(body, 1)
            if name in ("ctrace", "sysmon"):
                count = min(count, 2)
            kinds = [(name, headers(name.partition(" ")[0]))]
            if stage.name == _UNTRACED and body in FIXED and name in _OWN_TWINS:
                kinds.append((own_twin(name), {}))
            for kind, sent in kinds[:: 1 if turn % 2 == 0 else -1]:
                seconds = workers.by_name[name].do("time", name=body, headers=sent, count=count)
                samples.note(kind, body, group, turn, seconds["wall" if body in WAITING else "cpu"] / count)


def rows(setting: Setting, measured: Measured, how: str) -> list[Row]:
    """The sub-rows of one Python version."""
    made: list[Row] = []
    samples = measured.samples
    version = setting.version

    def ratio(
        ident: str,
        way: str,
        bodies: Sequence[str],
        peers: Sequence[str] = (),
        target: float | None = None,
        least: str | None = None,
    ) -> None:
        if way in measured.missing:
            made.append(not_measured(ident, measured.missing[way], how))
            return
        samples = measured.of(way)
        control = samples.ratio("twin again", "twin", *bodies)
        others = {
            peer: samples.ratio(peer, "twin", *bodies).value
            for peer in peers
            if all(samples.has(peer, body) for body in bodies)
        }
        found = row(ident, samples.ratio(way, "twin", *bodies), control, how, others, target=target)
        if least is not None and all(samples.has(least, body) for body in bodies):
            found.above(samples.ratio(least, "twin", *bodies).value)
        made.append(found)

    made.append(_off(setting, measured, how))
    for name, bodies in (
        ("cpu", _FEW_CPU),
        ("flask", UNTRACED_VIEWS),
        ("trivial", ("flask.trivial",)),
        ("waiting", WAITING),
    ):
        ratio(f"never.{name}.{version}", "never", bodies)
    ratio(f"never.calls.{version}", "never", ("calls", "recursion", "flask.calls"))
    ratio(f"never.one-line.{version}", "never", ("one-line",))
    for name, bodies in (
        ("cpu", _FEW_CPU),
        ("flask", UNTRACED_VIEWS),
        ("trivial", ("flask.trivial",)),
        ("waiting", WAITING),
    ):
        ratio(f"idle.{name}.{version}", "idle", bodies)
    ratio(f"idle.calls.{version}", "idle", ("calls", "recursion", "flask.calls"))
    ratio(f"idle.flat.{version}", "idle", ("flat", "flask.flat"))
    ratio(f"idle.one-line.{version}", "idle", ("one-line",), target=1.05)
    always: dict[str, Sequence[str]] = {
        "cpu": _FEW_CPU,
        "flask": UNTRACED_VIEWS,
        "trivial": ("flask.trivial",),
        "calls": ("calls", "recursion", "flask.calls"),
        "one-line": ("one-line",),
    }
    for name, timed in always.items():
        ratio(f"always.{name}.{version}", "always", timed)
    peers = ("ctrace", "sysmon", "slipcover")
    ratio(f"cpu.all.{version}", "agent", CPU, (*peers, "steps"))
    for body in (*CPU, *BESIDES):
        ratio(f"cpu-body.{body}.{version}", "agent", (body,), (*peers, "steps"), target=1.05)
    made += _fixed(setting, measured, how)
    if samples.has("slipcover", CPU[0]):
        control = samples.ratio("twin again", "twin", *CPU)
        against = samples.ratio("agent", "slipcover", *CPU)
        made.append(row(f"cpu.to-slipcover.{version}", against, control, how, target=1.03))
    ratio(f"cpu-request.loops.{version}", "request", LOOPS, ("ctrace", "sysmon"), least="least-silent")
    ratio(f"flat-request.bare.{version}", "request", ("flat",), ("ctrace", "sysmon", "floor"), least="least")
    ratio(f"flat-request.flask.{version}", "request", ("flask.flat",), ("floor",), least="least")
    return made


def _off(setting: Setting, measured: Measured, how: str) -> Row:
    """Off is exact: the very same app, with nothing else in the process. The ratio is measured besides."""
    ident = f"off.{setting.version}"
    bodies = _UNTRACED_WAYS["off"][0]
    control = measured.untraced.ratio("twin again", "twin", *bodies)
    found = row(ident, measured.untraced.ratio("off", "twin", *bodies), control, how, target=1.0)
    contains = found.interval is not None and found.interval[0] <= 1.0 + control.far(1.0)
    found.met = not measured.left and contains
    found.note = f"left in the process: {', '.join(measured.left)}" if measured.left else None
    found.how += "; met: no module, wrapper or tool is left, and the ratio can't be told from 1 by more than A/A"
    return found


def _fixed(setting: Setting, measured: Measured, how: str) -> list[Row]:
    how = f"{how}: traced and untraced requests in turn in one process"
    beside, samples = measured.samples, measured.untraced
    made = []
    for name in FIXED:
        ident = f"fixed.{name.replace('flask.trivial', 'flask').replace('trivial', 'bare')}.{setting.version}"
        if "traced" in measured.missing:
            made.append(not_measured(ident, measured.missing["traced"], how))
            continue
        peers = {peer: beside.more(peer, "twin", name).value for peer in ("ctrace", "sysmon") if beside.has(peer, name)}
        control = samples.more("twin", own_twin("twin"), name)
        found = row(ident, samples.more("traced", own_twin("traced"), name), control, how, peers, null=0.0)
        if samples.has("least", name):
            found.above(samples.more("least", own_twin("least"), name).value)
        made.append(found)
    return made
