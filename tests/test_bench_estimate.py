"""What the benches conclude from what they measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from coverage import CoverageData

from benches.tracer.estimate import Estimate, estimate, judge
from benches.tracer.results import Row, table, worst
from benches.tracer.rounds import Samples, turns
from benches.tracer.traced_lines import same_lines

_QUIET = Estimate(1.0, 0.999, 1.001)
_NOISY = Estimate(1.0, 0.9, 1.1)


@pytest.mark.parametrize(
    ("measured", "control", "met", "told"),
    [
        (Estimate(1.02, 1.01, 1.03), _QUIET, True, True),
        # The median is within the target, the upper bound is not.
        (Estimate(1.04, 1.02, 1.06), _QUIET, False, True),
        (Estimate(1.20, 1.18, 1.22), _QUIET, False, True),
        # Twins differ by more than the target allows: nothing can be told ...
        (Estimate(1.02, 1.01, 1.03), _NOISY, False, False),
        (Estimate(1.10, 1.08, 1.12), _NOISY, False, False),
        # ... but what is clear of the target by more than that.
        (Estimate(1.40, 1.30, 1.50), _NOISY, False, True),
        (Estimate(0.80, 0.75, 0.85), _NOISY, True, True),
    ],
)
def test_a_target_is_met_by_the_upper_bound_only_where_twins_agree(
    measured: Estimate, control: Estimate, met: bool, told: bool
) -> None:
    verdict = judge(measured, control, 1.05, 1.0)
    assert (verdict.met, verdict.note is None) == (met, told)


def test_the_interval_holds_what_groups_differ_by() -> None:
    alike = estimate([[1.0, 1.01, 0.99] * 5] * 4)
    apart = estimate([[1.0, 1.01, 0.99] * 5, [1.2, 1.21, 1.19] * 5, [1.0, 1.01, 0.99] * 5, [1.2, 1.21, 1.19] * 5])
    assert alike.high < 1.02
    assert apart.low < 1.02
    assert apart.high > 1.18
    with pytest.raises(ValueError, match="nothing was measured"):
        estimate([[], []])


def test_pairs_are_made_within_a_round() -> None:
    samples = Samples()
    for turn in range(10):
        # The machine slows down tenfold in between, for both.
        pace = 10.0 if turn > 4 else 1.0
        samples.note("twin", "body", 0, turn, 1.0 * pace)
        samples.note("agent", "body", 0, turn, 1.5 * pace)
    samples.note("twin", "body", 1, 0, 100.0)
    ratio = samples.ratio("agent", "twin", "body")
    assert (ratio.low, ratio.value, ratio.high) == (1.5, 1.5, 1.5)


def test_each_process_comes_at_each_place() -> None:
    names = ["a", "b", "c"]
    places = {name: {turns(names, turn).index(name) for turn in range(6)} for name in names}
    assert places == {name: {0, 1, 2} for name in names}


def test_the_worst_row_stands_for_all_and_none_may_fail() -> None:
    def row(ident: str, value: float, met: bool, target: float = 1.02) -> Row:
        return Row(ident, value, "ratio", target, met, "", interval=(value, value))

    rows = [
        row("idle.a.3.12", 1.01, True),
        row("idle.b.3.12", 1.015, True),
        row("idle.one-line.3.12", 1.04, True, 1.05),
    ]
    found = worst("idle", rows)
    assert (found.value, found.met) == (1.015, True)
    assert not worst("idle", [*rows[:2], row("idle.one-line.3.12", 1.2, False, 1.05)]).met
    assert worst("idle", []).value is None


def test_a_line_that_one_tracer_lacks_is_named(tmp_path: Path) -> None:
    def write(directory: Path, lines: list[int], context: str = "profile:a") -> Path:
        directory.mkdir(exist_ok=True)
        data = CoverageData(basename=str(directory / f"a.coverage.host.{lines[0]}.Xabcdefx"))
        data.set_context(context)
        data.add_lines({"/app/x.py": lines})
        data.write()
        return directory

    ours, theirs = write(tmp_path / "ours", [1, 2, 3]), write(tmp_path / "theirs", [1, 2, 3])
    assert same_lines(ours, theirs) is None
    write(ours, [9], "import")
    assert same_lines(ours, theirs) is None
    write(theirs, [7])
    assert "7" in (same_lines(ours, theirs) or "")


def test_a_row_says_how_far_above_its_floor_it_is() -> None:
    above = Row("first.a", 2.2, "µs", 2.0, False, "how").above(2.0)
    assert above.as_json()["floor"] == 2.0
    assert above.as_json()["within"] == pytest.approx(0.1)
    assert "+10%" in table([above])
    worse = Row("first.b", 3.0, "µs a code object", 2.0, False, "how").above(1.5)
    assert worst("first", [worse]).within == pytest.approx(1.0)
    # What could not be measured is above nothing, and a floor of nothing says nothing.
    assert "floor" not in Row("first.c", None, "µs", 2.0, False, "how").above(1.0).as_json()
    assert "floor" not in Row("first.d", 1.0, "µs", 2.0, True, "how").above(0.0).as_json()
