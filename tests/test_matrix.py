"""The page of the matrix is in step with the table and the results; running what they are about is `make matrix`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.matrix import page, table
from tests.matrix.__main__ import PAGE, read
from tests.oracle.surroundings import REPOSITORY


def test_the_page_is_what_the_table_and_the_results_make() -> None:
    text = page.render(table.GROUPS, table.ROWS, table.PYTHONS, read())
    assert PAGE.read_text(encoding="utf-8") == text, "`python -m tests.matrix --page` writes it"


def test_each_line_names_files_and_functions_that_there_are() -> None:
    """Parameters are looked at where tests are collected (`python/tests/test_proofs.py`)."""
    for row in table.ROWS:
        for name in row.tests.split():
            file, _, function = re.sub(r"\[.*", "", name).partition("::")
            text = (REPOSITORY / "python" / "tests" / file).read_text(encoding="utf-8")
            assert f"def {function}(" in text or not function, f"{row.id}: {name}"


def test_results_are_of_lines_that_there_are() -> None:
    known = {f"{row.id} {version}" for row, version in table.pairs()}
    assert {one["id"] for one in read()["rows"]} <= known
    assert not [one["id"] for one in read()["rows"] if one["failures"]]


def results() -> Iterator[tuple[str, dict[str, Any], str]]:
    found = {"target": 3, "value": 3, "failures": [], "reason": "", "of": {"flask": "3.1"}}
    yield "all", found, "3 passed"
    yield "one is skipped", {**found, "value": 2, "reason": "no uwsgi"}, "2 passed, 1 not run"
    yield "all are skipped", {**found, "value": 0, "reason": "no uwsgi"}, "not run: no uwsgi"
    yield "one failed", {**found, "value": 2, "failures": ["x"]}, "**1 of 3 failed**"


@pytest.mark.parametrize(("what", "found", "said"), list(results()))
def test_each_result_is_said(what: str, found: dict[str, Any], said: str) -> None:
    row = table.Row("framework", "Flask", "flask", "test_x.py", "the load")
    one = {**found, "id": f"{row.id} 3.12", "python": "3.12"}
    other = {**found, "id": f"{row.id} 3.13", "python": "3.13", "of": {"flask": "3.0"}}
    text = page.render({"framework": "F"}, [row], ("3.12", "3.13", "3.14"), {"versions": {}, "rows": [one, other]})
    assert f"| Flask | 3.1 (3.12); 3.0 (3.13) | {said} | {said} | not run | the load | - |\n" in text, what
