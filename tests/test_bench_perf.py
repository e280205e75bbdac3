"""The short form of `make bench-perf`, which plants 10 %, too. On a busy machine a measurement may be unable to tell;
what it tells is true."""

from __future__ import annotations

import pytest

from benches.perf.__main__ import row
from benches.perf.trials import Trial, trial

# Where nothing is planted, short requests will do; what is to be found must be more than what server and connection
# take, and than what other processes on the machine do to that.
SHORT, LONGER = ({"BENCH_PERF_ITERATIONS": iterations} for iterations in ("40000", "160000"))


def test_where_nothing_is_planted_perf_is_not_wrong() -> None:
    # An interval of 99 % may miss once in a hundred times; twice in a row is a fault.
    said = []
    for _ in range(2):
        said.append(trial(0.0, rounds=8, **SHORT))
        if not said[-1].is_wrong:
            return
    pytest.fail("; ".join(str(one) for one in said))


def test_a_large_slowdown_is_found_even_here() -> None:
    # Three times the work: no machine is so busy that this can't be told from nothing, at least at the second look.
    found = []
    for _ in range(2):
        found.append(trial(2.0, rounds=8, **LONGER))
        if found[-1].low > 1.3:
            return
    pytest.fail("; ".join(str(one) for one in found))


def test_a_row_counts_what_is_right_and_says_where_nothing_can_be_told() -> None:
    right = Trial(0.1, 1.1, 1.08, 1.12, 0.01)
    wide = Trial(0.1, 1.1, 0.9, 1.3, 0.2)
    wrong = Trial(0.1, 1.2, 1.15, 1.25, 0.01)
    assert row("r", [right] * 18 + [wrong] * 2)["met"] is True
    assert row("r", [right] * 17 + [wrong] * 3)["met"] is False
    noisy = row("r", [right] * 10 + [wide] * 10)
    blind = Trial(0.0, 1.0, 0.8, 1.2, 0.2)
    assert row("r", [blind] * 20)["met"] == "not measured", "who can't see finds nothing"
    assert (noisy["met"], noisy["value"], noisy["could tell"], noisy["wrong"]) == ("not measured", 10, 10, 0)
