"""The lines of the matrix name tests that there are, and each name stands for some."""

from __future__ import annotations

from importlib.metadata import packages_distributions

import pytest
from proofs import GROUPS, ROWS, matches, name_of


def test_each_line_names_tests_that_there_are(request: pytest.FixtureRequest) -> None:
    """Of the files that this run collected as a whole, as `make test` does with all of them."""
    chosen = request.config.args
    if request.config.option.keyword or any("::" in argument for argument in chosen):
        pytest.skip("a part of the tests was chosen")
    names = {name_of(item.nodeid) for item in request.session.items}
    files = {name.partition("::")[0] for name in names}
    for row in ROWS:
        assert row.tests.split(), row.id
        for wanted in row.tests.split():
            if wanted.partition("::")[0] in files:
                assert any(matches(wanted, name) for name in names), f"{row.id}: there is no {wanted}"


def test_names_are_matched_as_pytest_has_them() -> None:
    assert matches("test_a.py", "test_a.py::test_x[1]")
    assert matches("test_a.py::test_x", "test_a.py::test_x[1]")
    assert matches("test_a.py::test_x[a?b]", "test_a.py::test_x[a b]")
    assert not matches("test_a.py::test_x[1]", "test_a.py::test_x[12]")
    assert not matches("test_a.py::test_x", "test_a.py::test_xy")
    assert not matches("test_a.py::test_x[1]", "test_a.py::test_x1")


def test_lines_are_told_apart_and_belong_somewhere() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert {row.group for row in ROWS} == set(GROUPS)
    known = {name.lower() for names in packages_distributions().values() for name in names}
    for row in ROWS:
        assert row.exact or row.inexact, row.id
        missing = [name for name in row.distributions.split() if name.lower() not in known]
        assert not missing or row.environment or missing == ["uwsgi"], f"{row.id}: {missing} is in no requirements"
