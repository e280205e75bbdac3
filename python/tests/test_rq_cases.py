"""Everything that RQ does with a job, in each kind of worker: traced exactly, and the same to the app as untraced.

With ``PLAYTRACE_TEST_RQ=all`` every kind of worker does every case; otherwise only the forking one does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from conftest import Workspace
from rq_cases import BY_NAME, CASES, FEATURES
from rq_stage import RUN, Stage, serve, tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rq_cases import Case

KINDS = ["forking", "simple", *(["spawning"] if "spawn" in FEATURES else [])]
POSSIBLE = [case.name for case in CASES if case.possible()]
ALL = os.environ.get("PLAYTRACE_TEST_RQ") == "all"
#: Seconds for one worker: a spawning one imports RQ anew for each job.
PATIENCE = 900 if ALL else 100
FEW = ["plain", "retried", "meta-replaced-by-job"]


def _cases(kind: str) -> list[str]:
    return POSSIBLE if kind == "forking" or ALL else FEW


EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EVERY_CASE = pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(kind, BY_NAME[name], id=f"{kind}-{name}") for kind in KINDS for name in _cases(kind)],
)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stage]]:
    """Return what one worker of a kind left that did many cases, traced and untraced, mixed."""
    made: dict[str, Stage] = {}

    def stage(kind: str) -> Stage:
        if kind not in made:
            # A database each: what one worker did stays to be looked at while the next is at work.
            made[kind] = Stage(Workspace(tmp_path_factory.mktemp(kind)), f"{url}/{len(made)}")
            made[kind].enqueue(_cases(kind))
            made[kind].work(kind, PATIENCE)
        return made[kind]

    servers = serve(tmp_path_factory.mktemp("redis"))
    url = next(servers)
    yield stage
    for used in made.values():
        used.close()
    next(servers, None)


@pytest.fixture
def stage(stages: Callable[[str], Stage], kind: str) -> Stage:
    """Return what the worker of a kind left."""
    return stages(kind)


@EVERY_CASE
def test_lines_are_where_they_belong(stage: Stage, case: Case) -> None:
    contexts = stage.contexts()
    expected = {"jobs.py": tagged(case.tags), **({"tool.py": [1, 2]} if case.name == "program" else {})}
    assert contexts[f"profile:{case.name}"] == expected


@EVERY_CASE
def test_the_verdict_is_right(stage: Stage, case: Case) -> None:
    status, reasons = stage.judge(case.name)
    wanted = sorted(reason.format(job=f"{case.name}-traced", slug=case.name) for reason in case.reasons)
    assert status == case.verdict, reasons
    assert len(reasons) == len(wanted), reasons
    assert all(reason.startswith(start) for reason, start in zip(reasons, wanted, strict=True)), reasons


@EVERY_CASE
def test_each_execution_is_a_unit_and_has_ended(stage: Stage, case: Case) -> None:
    executions = {f"{case.name}-traced{ending}": done.executions for ending, done in case.jobs.items()}
    assert {job: stage.executions(job) for job in executions} == executions
    assert stage.units(case.name) == executions
    wrote = stage.workspace.look()
    assert wrote.unclosed(case.name, RUN) == []
    assert {record["job"] for record in wrote.of_kind(case.name, "enqueue", RUN)} == set(executions)
    starts = [record["job"] for record in wrote.of_kind(case.name, "job-start", RUN)]
    if not case.at_once:
        assert {job: starts.count(job) for job in executions} == executions


@EVERY_CASE
def test_the_app_sees_no_difference(stage: Stage, case: Case) -> None:
    for ending, done in case.jobs.items():
        traced, twin = (stage.seen(f"{case.name}-{who}{ending}") for who in ("traced", "twin"))
        result = done.result.format(job=f"{case.name}-twin") if isinstance(done.result, str) else done.result
        assert (twin.status, twin.result, twin.executions) == (done.status, result, done.executions)
        assert done.error in twin.error
        assert bool(done.error) == bool(twin.error)
        if case.called:
            assert twin.called == case.called
        twins = str(twin).replace(f"{case.name}-twin", f"{case.name}-traced")
        assert str(traced) == twins


@EVERY_KIND
def test_nothing_else_is_in_the_data(stage: Stage) -> None:
    contexts = stage.contexts()
    assert set(contexts) - {"import"} == {f"profile:{name}" for name in stage.cases}
    every = {line for name in stage.cases for line in tagged(BY_NAME[name].tags)}
    assert not every & set(contexts.get("import", {}).get("jobs.py", []))
    ledgers = list((stage.workspace.data / ".playtrace").glob("*/*/*.ledger"))
    assert not [path for path in ledgers if b"-twin" in path.read_bytes()]
    # The notes for jobs whose meta was replaced are taken away.
    assert not list((stage.workspace.data / ".playtrace" / ".jobs").glob("*"))


@EVERY_KIND
def test_the_ledger_names_the_processes(stage: Stage, kind: str) -> None:
    wrote = stage.workspace.look()
    roles = {record["role"] for record in wrote.of_kind("plain", "boot", RUN)} - {"player", "merger"}
    assert roles == {"web", "worker"} | (set() if kind == "simple" else {"job"})
    assert {record["worker"] for record in wrote.of_kind("plain", "job-start", RUN)} == {"w1"}
