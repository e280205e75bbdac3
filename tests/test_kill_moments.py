"""The kills in their short form, and what makes their full form worth believing."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kills import campaign, check, moments, source
from tests.kills.mutations import CUT, MUTATIONS, TAMPERING
from tests.kills.page import Page, Progress
from tests.kills.scenarios import BY_REQUEST, GTHREAD, HORSE, SCENARIOS, SCRIPT, SYNC, Bench, Scenario
from tests.oracle import surroundings
from tests.oracle.run import read_contexts

# Twelve kills; the long form has three hundred.
SHORT = {SYNC: 3, GTHREAD: 2, BY_REQUEST: 1, HORSE: 3, SCRIPT: 3}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the measured package is, once for all."""
    return tmp_path_factory.mktemp("kills")


@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: scenario.name)
def test_what_was_executed_before_a_kill_is_not_lost(scenario: Scenario, out: Path) -> None:
    outcome = campaign.run(scenario, SHORT[scenario], out, sys.executable, seed=2)
    assert outcome.counts.clean, "\n".join([campaign.sentence([outcome]), *outcome.counts.examples])
    assert outcome.counts.kills == SHORT[scenario]


def test_data_that_is_tampered_with_is_seen(out: Path) -> None:
    outcome = campaign.run(CUT, 1, out, sys.executable, 1, TAMPERING["maps-deleted"])
    assert outcome.counts.lost > 0
    assert outcome.counts.unreadable == 0


def test_each_mutation_fits_the_source(tmp_path: Path) -> None:
    for mutation in MUTATIONS:
        for edit in mutation.edits:
            (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(surroundings.REPOSITORY / edit.file, tmp_path / edit.file)
            edit.apply(tmp_path)


def test_a_line_says_its_number_when_it_has_been_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = source.write(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    page = Page(tmp_path / "page", works=2)
    names = ("short_3", "short_1")
    text = (tmp_path / source.PATH).read_text(encoding="utf-8").splitlines()
    for line in measured.steps(names):
        assert text[line - 1].split() == ["cells[cell]", "=", str(line)]
    assert page.look(1) == Progress(0, 0, ended=False)
    page.do(1, names)
    now = page.look(1)
    assert now.ended
    assert now.line == measured.bodies["short_1"][-1]
    assert measured.reached(names, now.line) == len(measured.steps(names)) == 24
    assert measured.reached(names, measured.bodies["short_3"][4]) == 5
    assert measured.reached(names, 0) == 0
    assert page.look(0) == Progress(0, 0, ended=False)
    with pytest.raises(ValueError, match="called twice"):
        measured.steps(("short_1", "short_1"))


def test_kills_are_shared_out_and_none_is_left_over() -> None:
    for kills in (12, 13, 300):
        shared = campaign.shares(kills)
        assert sum(shared.values()) == kills
        assert set(shared) == set(SCENARIOS)
    assert [shared[scenario] for scenario in SCENARIOS] == [40, 40, 40, 90, 90]
    assert campaign.shares(10, [HORSE]) == {HORSE: 10}


def test_moments_are_drawn_again_from_the_same_seed() -> None:
    drawn = [[moments.draw(random.Random(seed), moments.KINDS, 7, 5_000) for seed in range(200)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert {moment.work for moment in drawn[0]} == {7}
    # In the middle, when it has ended, when it begins, and where the map is full.
    assert any(0 < moment.lines < 2_000 for moment in drawn[0])
    assert any(moment.lines == 5_000 and moment.seconds > 0 for moment in drawn[0])
    assert any(moment.lines == 0 for moment in drawn[0])
    assert any(2_006 < moment.lines <= 2_046 for moment in drawn[0])


FORKING = """
import os, signal, {module} as measured
from tests.kills.page import mapped

page = mapped()
cells = page.cells
go, said = os.pipe()

def in_child():
    # The parent has executed its lines; these, in the child, come after them.
    os.read(go, 1)
    measured.short_2(cells, 1)

# Registered before the agent's own hook, and so called before it.
os.register_at_fork(after_in_child=in_child)
import playtrace_agent

with playtrace_agent.trace("kills-0", "a"):
    measured.short_0(cells, 1)
    child = os.fork()
    if child == 0:
        os._exit(0)
    measured.short_1(cells, 1)
    os.write(said, b"x")
    os.waitpid(child, 0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_does_not_write_over_its_parents_map(out: Path) -> None:
    bench = Bench.make(SCRIPT, out, sys.executable, 1)
    code = FORKING.format(module=source.MODULE)
    killed = subprocess.run([sys.executable, "-c", code], env=bench.environment(), cwd=out, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    merged = out / "merged"
    check.combine(bench.directory, "kills-0", "a", merged).expect(3)
    found = read_contexts(merged, bench.measured.root)["profile:kills-0"][source.PATH]
    executed = bench.measured.steps(("short_0", "short_1"))
    assert found >= set(executed)
