"""What could run in sources, as coverage.py and CPython see it; `make parity` does it for large packages."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import coverage
import pytest

from tests.oracle import surroundings
from tests.source_parity import accepted, compare, places, results
from tests.source_parity.accepted import Difference

PROGRAM = surroundings.program()
CORPUS = places.ROOT / "corpus" / "source"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STDLIB = Path(json.__file__).parents[1]
ORACLE = places.Oracle(VERSION, "7.11", f"CPython {VERSION}, coverage.py", Path(sys.executable), STDLIB)


def measured(name: str, home: Path, files: list[Path] | None = None) -> compare.Tally:
    """Compare what lies below a directory."""
    return compare.measure(PROGRAM, name, ORACLE, home, places.files(home) if files is None else files)


def test_the_oracle_is_the_pinned_coverage() -> None:
    assert coverage.__version__.startswith("7.11.")


def test_our_own_hard_cases() -> None:
    tally = measured("corpus", CORPUS)
    assert [str(difference) for difference in tally.differences] == []
    # The first line that is no UTF-8, the other spelling beside a byte order mark, the late future import.
    assert tally.refused == 3
    assert tally.statements > 300


@pytest.mark.parametrize("name", ["json", "email", "asyncio", "collections", "logging", "unittest"])
def test_parts_of_the_standard_library(name: str) -> None:
    tally = measured(name, STDLIB, places.files(STDLIB / name))
    assert [str(difference) for difference in tally.differences] == []
    assert tally.statements > 100


@pytest.mark.parametrize("name", ["flask", "werkzeug", "jinja2", "rq"])
def test_what_a_web_app_is_made_of(name: str) -> None:
    module = __import__(name)
    home = Path(module.__file__ or "").parent
    tally = measured(name, home.parent, [file for file in sorted(home.rglob("*.py")) if file.is_file()])
    assert [str(difference) for difference in tally.differences] == []
    assert tally.statements > 1000


def test_a_difference_is_noticed() -> None:
    file = CORPUS / "new_syntax.py"
    ours = compare.inspect(PROGRAM, ORACLE, CORPUS, [file])[file.resolve()]
    theirs = {
        "statements": [],
        "excluded": ours["excluded"],
        "docstrings": [999],
        "multiline": [[1, 2]],
        "regions": [],
        "definitions": [],
        "lambdas": [],
    }
    tally = compare.Tally("corpus", ORACLE)
    compare.compared(tally, "new_syntax.py", theirs, ours)
    found = {difference.what for difference in tally.differences}
    assert found == {"statements", "docstrings", "multiline", "regions", "definitions"}
    compare.compared(tally, "new_syntax.py", {"error": "no Python"}, ours)
    assert tally.differences[-1].what == "refused"
    turned = {**ours, "regions": ours["regions"][::-1]}
    compare.compared(tally, "new_syntax.py", {**theirs, "regions": compare.our_regions(ours)}, turned)
    assert "in another order" in {difference.detail for difference in tally.differences}


def test_differences_are_accepted_one_by_one() -> None:
    difference = Difference("corpus", "a.py", 3, VERSION, "statements", "only ours")
    tally = compare.Tally("corpus", ORACLE, statements=100_000, differences=[difference])
    outcome = results.Outcome([tally], {}, {})
    assert outcome.failures() == [f"not accepted: {difference}"]
    known = replace(outcome, accepted={difference.known(): "why"})
    assert known.failures() == []
    stale = replace(known, tallies=[replace(tally, differences=[])])
    assert stale.failures() == [f"accepted, but no longer seen: {difference.known()}"]
    assert stale.failures(partial=True) == []
    few = replace(known, tallies=[replace(tally, statements=1000)])
    assert any("are allowed" in failure for failure in few.failures())


def test_a_partial_run_adds_to_what_was_known(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    difference = Difference("b", "a.py", 3, VERSION, "statements", "only ours")

    def rows() -> list[tuple[str, float]]:
        return [(row["id"], row["value"]) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]]

    def ids() -> list[str]:
        return [name.split(", ")[1] for name, _ in rows() if name.startswith("files, ")]

    def write(tally: compare.Tally, *, partial: bool = True) -> dict[str, float]:
        results.write(results.Outcome([tally], {}, {"b": "1.0"}), file, partial=partial)
        return {name: value for name, value in rows() if "," not in name}

    first = compare.Tally("b", ORACLE, statements=100, files=2, differences=[difference])
    # A part can't tell what is stale.
    assert write(first) == {"not accepted": 1, "accepted": 0, "statements": 100}
    assert write(compare.Tally("a", ORACLE, statements=50)) == {"not accepted": 1, "accepted": 0, "statements": 150}
    assert ids() == ["a", "b"]
    assert write(replace(first, differences=[]))["not accepted"] == 0
    assert ids() == ["a", "b"]
    assert write(first, partial=False) == {"not accepted": 1, "accepted": 0, "not needed": 0, "statements": 100}
    assert ids() == ["b"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"file": '"a*.py"'}, "one line of one file"),
        ({"line": '"1-9"'}, "one line of one file"),
        ({"mechanism": '"flaky"'}, "says why"),
        ({"reason": '"a second one"'}, "an entry has"),
    ],
)
def test_accepted_entries_are_exact(tmp_path: Path, change: dict[str, str], complaint: str) -> None:
    entry = {
        "package": '"p"',
        "file": '"a.py"',
        "line": "1",
        "python": '"3.12"',
        "what": '"statements"',
        "mechanism": '"the first constant of a module is kept"',
    }
    file = tmp_path / "accepted.toml"
    file.write_text("[[difference]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items()), encoding="utf-8")
    assert list(accepted.read(file)) == [Difference("p", "a.py", 1, "3.12", "statements")]
    changed = {**entry, **change}
    file.write_text("[[difference]]\n" + "".join(f"{k} = {v}\n" for k, v in changed.items()), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        accepted.read(file)


def test_the_committed_lists_can_be_read() -> None:
    accepted.read()
    assert set(places.releases()) >= {"django", "sqlalchemy", "flask", "rq", "numpy", "sympy", "pandas", "twisted"}
