"""The opt-in checklist: each row names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import little_profiles
from tests.oracle import surroundings
from tests.support import playtrace

from stack import Stack  # isort: skip

DOCUMENT = surroundings.REPOSITORY / "docs" / "dev-notes" / "profile-coverage-regression.md"


def rows() -> list[list[str]]:
    """The cells of the checklist's rows."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if re.match(r"\| \d+ \|", line)]
    assert [row[0] for row in cells] == [str(number) for number in range(1, len(cells) + 1)]
    return cells


def names_of_tests(path: Path) -> set[str]:
    """The names of the tests in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".rs":
        return set(re.findall(r"#\[(?:tokio::)?test[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)", text))
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_row_names_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 4, row
    assert row[1], "a row says what stays true"
    named = re.findall(r"`([\w/.]+)::(\w+)`", row[3])
    assert named, f"row {row[0]} names no test"
    for file, name in named:
        assert name in names_of_tests(surroundings.REPOSITORY / file), f"row {row[0]}: {file} has no test {name}"


def test_the_checklist_is_whole() -> None:
    said = DOCUMENT.read_text(encoding="utf-8")
    assert len(rows()) >= 17
    for word in ("ENABLE_PROFILE_COVERAGE", "X-Profile-Trace", "--trace-code", "5 %", "worker", "child"):
        assert word in said, word


def test_a_replay_that_is_not_traced_leaves_no_data(stack: Stack) -> None:
    def everything() -> set[Path]:
        return {path for path in stack.coverage_dir.rglob("*") if little_profiles.REQUEST in str(path)}

    before = everything()
    ended = playtrace(stack, "play", little_profiles.REQUEST).expect(0)
    assert "Verdict: passed" in ended.out
    assert everything() <= before
    context = playtrace(stack, "play", little_profiles.REQUEST, "--verbose").expect(0)
    assert "X-Profile-Trace" not in context.text
    assert everything() <= before
    # The same profile does leave data when it is traced: what is looked for would be found.
    playtrace(stack, "play", little_profiles.REQUEST, "--trace-code").expect(0)
    # Runs of other tests may have been merged and removed meanwhile.
    assert everything() - before
