"""Every line of every demo profile, against coverage.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.oracle import surroundings
from tests.oracle.compare import differences
from tests.oracle.run import Oracle, record


@pytest.fixture(scope="module")
def oracles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Oracle]:
    """What coverage.py says about each profile."""
    out = tmp_path_factory.mktemp("oracle")
    return {slug: record(slug, out / slug) for slug in surroundings.slugs()}


# First: meanwhile another process, that of `test_profiles.py`, may have the replays made.
@pytest.mark.parametrize("slug", surroundings.slugs())
def test_the_oracle_sees_a_session_as_it_was_recorded(slug: str, oracles: dict[str, Oracle]) -> None:
    oracle = oracles[slug]
    assert oracle.sent.surprises == []
    assert len(oracle.lines) > 30, "the oracle saw next to nothing"


@pytest.mark.parametrize("slug", surroundings.slugs())
def test_lines_equal_those_of_coverage(slug: str, cold: dict[str, Run], oracles: dict[str, Oracle]) -> None:
    found = cold[slug].contexts[f"profile:{slug}"]
    unequal = differences(oracles[slug].lines, found, surroundings.ROOT, ("coverage.py", "playtrace"))
    assert not unequal, "\n" + "\n".join(unequal)


@pytest.mark.parametrize("slug", surroundings.slugs())
def test_the_oracle_sent_the_same_requests(slug: str, cold: dict[str, Run], oracles: dict[str, Oracle]) -> None:
    assert cold[slug].verdict.document["requests"] == len(oracles[slug].sent.statuses)


def test_every_context_is_known(cold: dict[str, Run]) -> None:
    for slug, run in cold.items():
        assert set(run.contexts) == {f"profile:{slug}", "import"}


def test_measured_files_are_the_apps(cold: dict[str, Run]) -> None:
    for run in cold.values():
        for lines in run.contexts.values():
            for path in lines:
                assert path.startswith(f"{surroundings.MEASURED_APP}/weppdemo/"), path
                assert Path(surroundings.ROOT, path).is_file(), path
