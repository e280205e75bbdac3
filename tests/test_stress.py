"""The attribution stress in its short form, and what makes its full form worth believing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle import surroundings
from tests.stress import catalog, check, leaves, plan, pythons, results, verdicts
from tests.stress.__main__ import Bench
from tests.stress.catalog import FINER, GTHREAD, SCENARIOS, UVICORN, Scenario
from tests.stress.check import Found, Record
from tests.stress.faults import FAULTS
from tests.stress.mutations import MUTATIONS, Edit, MovedOnError
from tests.stress.reference import Expected, Place
from tests.stress.scenarios import Stress


@pytest.fixture(scope="module")
def stress(tmp_path_factory: pytest.TempPathFactory) -> Stress:
    version = pythons.version(sys.executable)
    return Stress(tmp_path_factory.mktemp("stress"), sys.executable, surroundings.redis_server(), version)


@pytest.mark.parametrize("scenario", [*SCENARIOS, *FINER], ids=lambda scenario: scenario.name)
def test_every_line_is_where_it_belongs(stress: Stress, scenario: Scenario) -> None:
    if not pythons.does(sys.executable, scenario.granularity):
        pytest.skip(f"the agent does not know the granularity {scenario.granularity!r}")
    features = [
        feature for request in plan.requests(scenario.short, among=scenario.among) for feature in request.features
    ]
    assert min(features.count(feature) for feature in scenario.among) > 2
    # Judging takes a third of the time: one is enough here.
    outcome = stress.run(replace(scenario, judged=scenario is UVICORN), scenario.short)
    reasons = outcome.verdicts.reasons if outcome.verdicts else []
    assert outcome.clean, "\n".join([outcome.line, *outcome.counts.examples, *reasons])
    assert outcome.counts.requests == scenario.short
    assert outcome.counts.overlapping >= results.OVERLAPPING * scenario.short
    assert outcome.counts.alone > 0
    assert outcome.within > 0 or not scenario.threads


# What the comparison sees ---------------------------------------------------------------------------

# Two requests of one run that are served by one process, and an untraced one.
A, B = (plan.Request(number, 1, number, True, False, ("x",)) for number in range(2))
UNTRACED = plan.Request(2, 1, 2, False, False, ("x",))
REQUESTS = [A, B, UNTRACED]
PATH = f"{leaves.PACKAGE}/leaves.py"


def place(line: int) -> Place:
    return PATH, line


def expected(key: int) -> Expected:
    """Line 1 is everybody's, line 10 + key one's own; 20 + key another profile's, 30 + key comes too late."""
    own = frozenset({place(1), place(10 + key)})
    return Expected(own, frozenset({place(20 + key)}), frozenset({place(30 + key)}), "")


EXPECTED = {request.work: expected(request.key) for request in REQUESTS}
RECORDS = {
    request.number: Record(request.number, 7, request.number * 10, request.number * 10 + 15, "") for request in REQUESTS
}
OUTER, INNER = ("stress-1", "round-0", 7), ("inner-1", "round-0", 7)


@pytest.fixture
def measured(tmp_path: Path) -> leaves.Measured:
    (tmp_path / leaves.PACKAGE).mkdir()
    (tmp_path / PATH).write_text("text\n" * 40)
    return leaves.Measured(tmp_path, {place(tens + key): key for tens in (10, 20, 30) for key in range(3)})


def by_profile() -> Found:
    """What a faultless agent writes."""
    return {
        OUTER: {"profile:stress-1": {place(1), place(10), place(11), place(30)}},
        INNER: {"profile:inner-1": {place(20), place(21)}},
    }


def by_request() -> Found:
    """What a faultless agent writes where requests have contexts of their own."""
    return {
        OUTER: {"profile:stress-1:a": {place(1), place(10), place(30)}, "profile:stress-1:b": {place(1), place(11)}},
        INNER: {"profile:inner-1:a": {place(20)}, "profile:inner-1:b": {place(21)}},
    }


def wrong_and_lost(found: Found, measured: leaves.Measured, *, single: bool) -> tuple[int, int]:
    compare = check.by_request if single else check.by_profile
    counts = compare(found, REQUESTS, RECORDS, EXPECTED, measured)
    assert len(counts.examples) == counts.wrong + counts.lost
    return counts.wrong, counts.lost


@pytest.mark.parametrize("single", [False, True], ids=["profile", "request"])
def test_a_faultless_agent_is_found_faultless(measured: leaves.Measured, single: bool) -> None:
    found = by_request() if single else by_profile()
    assert wrong_and_lost(found, measured, single=single) == (0, 0)


def tampered(single: bool) -> Iterator[tuple[str, Found, tuple[int, int]]]:
    """Data with one thing wrong each, and how many wrong and lost lines it makes."""

    outer, inner = (f"profile:{slug}{':a' if single else ''}" for slug in ("stress-1", "inner-1"))
    made = by_request if single else by_profile
    found = made()
    found[OUTER][outer].remove(place(10))
    yield "a request's own line is missing", found, (0, 1)
    found = made()
    found[OUTER][outer].add(place(12))
    yield "an untraced request's line is there", found, (1, 0)
    found = made()
    found[OUTER][outer].add(place(20))
    found[INNER][inner].add(place(30))
    yield "two profiles' lines at each other's", found, (2, 0)
    found = made()
    found[OUTER]["import"] = {place(1)}
    yield "lines that no import executed", found, (1, 0)
    found = made()
    found["stress-1", "round-0", 8] = found.pop(OUTER)
    lines = 4 if single else 3
    yield "another process's", found, (lines + 1, lines)
    found = made()
    del found[INNER]
    yield "no shard", found, (0, 2)


@pytest.mark.parametrize("single", [False, True], ids=["profile", "request"])
def test_each_fault_is_counted(measured: leaves.Measured, single: bool) -> None:
    for what, found, counts in tampered(single):
        assert wrong_and_lost(found, measured, single=single) == counts, what


def test_overlap_is_counted_from_beginnings_and_ends() -> None:
    times = [(0, 10), (10, 20), (15, 40), (18, 19), (41, 42)]
    records = [Record(number, number % 2, *time, "") for number, time in enumerate(times)]
    assert check.overlapping(records) == 3
    assert check.within_processes(records) == 2
    assert check.overlapping([]) == 0


def test_the_plan_is_the_same_each_time_and_no_key_comes_twice_in_a_round() -> None:
    requests = plan.requests(3 * plan.KEYS)
    assert requests == plan.requests(3 * plan.KEYS)
    for start in range(0, len(requests), plan.KEYS):
        assert len({request.key for request in requests[start : start + plan.KEYS]}) == plan.KEYS
    assert {request.profile for request in requests} == set(range(plan.PROFILES))
    assert sum(not request.traced for request in requests) * plan.UNTRACED == len(requests)
    assert {feature for request in requests for feature in request.features} == set(plan.FEATURES)


def test_each_mutation_fits_the_source(tmp_path: Path) -> None:
    for mutation in (*MUTATIONS, *FAULTS):
        for file in {edit.file for edit in mutation.edits}:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(surroundings.REPOSITORY / file, tmp_path / file)
        for edit in mutation.edits:
            edit.apply(tmp_path)


def test_nothing_is_compiled_for_a_fault_of_python_files() -> None:
    assert all(fault.is_python for fault in FAULTS)
    assert not any(mutation.is_python for mutation in MUTATIONS)


def test_each_scenario_is_described_soundly() -> None:
    names = [scenario.name for scenario in catalog.ALL]
    assert len(names) == len(set(names))
    installed = (surroundings.REPOSITORY / "requirements/dev.txt").read_text(encoding="utf-8")
    ours = {fault.scenario for fault in FAULTS}
    for scenario in (*catalog.ALL, *ours):
        assert bool(scenario.command) != scenario.processes, scenario.name
        assert scenario.queue or scenario.processes or any("PORT" in word for word in scenario.command), scenario.name
        assert set(scenario.only) | set(scenario.among) <= {*plan.ASYNC, *plan.GREEN, *plan.BRIDGED}, scenario.name
        # What only a loop can do is asked of coroutines alone.
        assert scenario.way == "coroutine" or not set(scenario.among) & {*plan.ASYNC, *plan.BRIDGED} - {*plan.FEATURES}
        assert scenario.requests >= (2_000 if scenario.queue else 20_000) or scenario in ours or scenario.processes
        for name in scenario.needs:
            named = f"\n{name}==" in installed or f"\n{name}[" in installed
            assert named != (name in catalog.BY_HAND), f"{scenario.name}: {name}"
        if scenario.queue:
            assert importlib.util.find_spec(f"tests.stress.queues.{scenario.queue}") is not None
    # Each fault that verdicts tell of is run where they are judged.
    assert all(fault.scenario.judged for fault in FAULTS)


def test_what_is_not_installed_is_said(tmp_path: Path) -> None:
    assert pythons.missing(sys.executable, ["flask", "no-such-distribution"]) == ["no-such-distribution"]
    row = results.of_what_was_not_run("huey 3.12", "huey is not installed")
    assert not row.met
    assert "NOT RUN" in results.table([row])
    results.write(tmp_path / "stress.json", [row], "3.12")
    (said,) = json.loads((tmp_path / "stress.json").read_text())["rows"]
    assert (said["value"], said["met"], said["not_run"]) == (None, "not run", "huey is not installed")
    # What is run by itself leaves the rest.
    others = [results.Row("arq 3.12", value, "lines", 0, "lower", {}) for value in (1, 0)]
    for other in others:
        results.write(tmp_path / "stress.json", [other], "3.12", add=True)
    rows = json.loads((tmp_path / "stress.json").read_text())["rows"]
    assert [(row["id"], row["met"]) for row in rows] == [("huey 3.12", "not run"), ("arq 3.12", True)]


def test_only_what_has_no_wheel_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "BY_HAND", ("no-such-distribution",))
    bench = Bench(tmp_path, None)
    for needs in (("no-such-distribution",), ("no-such-distribution", "nor-this-one")):
        bench.measure(replace(catalog.UWSGI, needs=needs), 1)
    assert [(row.met, row.excused) for row in bench.rows] == [(False, True), (False, False)]


def test_a_program_is_the_one_beside_the_interpreter(stress: Stress, tmp_path: Path) -> None:
    argv = list(stress.service(catalog.UWSGI, "uwsgi", tmp_path, {}, 7).argv)
    beside = Path(sys.executable).parent
    assert argv[0] == str(beside / "uwsgi")
    assert argv[argv.index("--home") + 1] == str(beside.parent)
    assert "127.0.0.1:7" in argv
    assert stress.service(GTHREAD, "gthread", tmp_path, {}, 7).argv[1:3] == ["-m", "gunicorn"]


def test_runs_and_their_steps() -> None:
    both = [("inner-1", "round-0"), ("stress-1", "round-0")]
    for jobs, steps in ((False, [0, 1]), (True, [])):
        found = verdicts.runs(REQUESTS, EXPECTED, jobs=jobs)
        assert sorted(found) == both
        assert (found[both[0]], found[both[1]]) == ([], steps)


def test_a_run_without_its_ledger_is_not_complete(tmp_path: Path) -> None:
    expected = {("stress-1", "round-0"): [3], ("p", "r"): []}
    judged = verdicts.judge(surroundings.program(), tmp_path / "coverage", [], expected)
    assert judged.counts == {"complete": 1, "partial": 1}
    assert judged.incomplete == 1
    (reason,) = judged.reasons
    assert reason.startswith("stress-1 round-0: partial: data lost: step 3 "), reason
    many: dict[verdicts.Run, list[int]] = {("p", f"r{number}"): [] for number in range(5)}
    few = verdicts.judge(surroundings.program(), tmp_path / "coverage", [], many, 2)
    assert str(few) == "verdicts 2 complete (of 5 runs)"


@pytest.mark.parametrize("text", ["nothing of it", "old old"], ids=["gone", "twice"])
def test_a_mutation_that_does_not_fit_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.rs").write_text(text)
    with pytest.raises(MovedOnError, match=r"file\.rs holds 'old' \d times, not once: the source has moved on"):
        Edit("file.rs", "old", "new").apply(tmp_path)
    assert (tmp_path / "file.rs").read_text() == text
