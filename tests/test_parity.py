"""The same lines as coverage.py's ctrace for a corpus of odd functions; `make parity` does it for real packages."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.parity import accepted, compare, results, session, suites
from tests.parity.accepted import Difference

CORPUS = Path(__file__).parent / "parity" / "corpus"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def watched() -> session.Watched:
    """The corpus, seen by both watchers in one process."""
    work = session.Work("unittest", ("test_odd",), CORPUS, (CORPUS,), CORPUS)
    return session.watch(Path(sys.executable), work)


def tally(watched: session.Watched, **agent: frozenset[int]) -> compare.Tally:
    """Compare; `agent` replaces what it saw of `odd.py`."""
    seen = {
        **watched.seen,
        "agent": {**watched.seen["agent"], **{f"{name}.py": lines for name, lines in agent.items()}},
    }
    found = compare.Tally("corpus", VERSION)
    found.add(seen, watched.bodies)
    return found


def test_odd_functions_have_the_lines_that_ctrace_records(watched: session.Watched) -> None:
    assert (watched.tests, watched.failed) == (10, 0)
    found = tally(watched)
    assert sorted(map(str, found.differences)) == []
    assert sorted(found.others_differ) == []
    # All but the lines that nothing in the corpus reaches.
    missing = {line for line in watched.bodies["odd.py"] if ("odd.py", line) not in found.lines}
    text = (CORPUS / "odd.py").read_text(encoding="utf-8").splitlines()
    assert {text[line - 1].strip() for line in missing} == NEVER_RUN
    assert len(found.lines) > 200


#: What stands in the corpus for the jumps around it.
NEVER_RUN = {'return "?"', "raise", "return 0", "raise AttributeError(name)"}


def test_one_line_more_or_less_is_a_difference(watched: session.Watched) -> None:
    lines = watched.seen["agent"]["odd.py"]
    line = min(lines & watched.bodies["odd.py"])
    assert tally(watched, odd=lines - {line}).differences == {Difference("corpus", "odd.py", line, VERSION, "ctrace")}
    more = max(watched.bodies["odd.py"] - lines)
    assert tally(watched, odd=lines | {more}).differences == {Difference("corpus", "odd.py", more, VERSION, "agent")}


def outcome(tally: compare.Tally, **known: str) -> results.Outcome:
    """What would be reported."""
    entries = dict.fromkeys(tally.differences, known["mechanism"]) if known else {}
    return results.Outcome([tally], {}, entries, [], {})


def test_a_difference_fails_unless_it_is_accepted(watched: session.Watched) -> None:
    lines = watched.seen["agent"]["odd.py"]
    line = min(lines & watched.bodies["odd.py"])
    found = tally(watched, odd=lines - {line})
    says = f"corpus odd.py:{line} on {VERSION}: only ctrace has it"
    assert f"not accepted: {says}" in outcome(found).failures()
    assert not any(says in failure for failure in outcome(found, mechanism="known").failures())
    # One in so few lines is too many, known or not.
    assert any("are allowed" in failure for failure in outcome(found, mechanism="known").failures())


def test_an_accepted_difference_that_is_gone_fails(watched: session.Watched) -> None:
    found = tally(watched)
    entry = Difference("corpus", "odd.py", 1, VERSION, "agent")
    failures = replace(outcome(found), accepted={entry: "why"}).failures()
    assert f"accepted, but no longer seen: {entry}" in failures


def test_lines_that_are_not_the_same_each_time_are_named_and_do_not_count() -> None:
    apart = compare.compare_apart({("a.py", 1), ("a.py", 2)}, {("a.py", 1)}, {"alone": {("a.py", 1), ("a.py", 3)}})
    assert (apart.stable, apart.unstable, apart.differ) == (1, (("a.py", 2),), (("a.py", 3, "alone"),))
    found = compare.Tally("package", VERSION, lines={("a.py", 1), ("a.py", 2)})
    report = results.Outcome([found], {f"{VERSION} package piece": apart}, {}, [], {})
    assert report.lines_of(VERSION) == 1
    assert "unstable: a.py:2" in results.table(report)


def test_work_that_switches_ctrace_off_is_not_compared(tmp_path: Path) -> None:
    test = "import sys, unittest\nclass T(unittest.TestCase):\n    def test(self):\n        sys.settrace(None)\n"
    (tmp_path / "test_off.py").write_text(test, encoding="utf-8")
    work = session.Work("unittest", ("test_off",), tmp_path, (tmp_path,), tmp_path)
    with pytest.raises(session.NotMeasured, match=r"sys\.settrace was called: .*test_off\.py:4"):
        session.watch(Path(sys.executable), work)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"file": '"a*.py"'}, "one line of one file"),
        ({"line": '"1-9"'}, "one line of one file"),
        ({"mechanism": '"flaky"'}, "and why"),
        ({"only": '"nobody"'}, "who alone"),
        ({"reason": '"a second one"'}, "an entry has"),
    ],
)
def test_accepted_entries_are_exact(tmp_path: Path, change: dict[str, str], complaint: str) -> None:
    entry = {
        "package": '"p"',
        "file": '"a.py"',
        "line": "1",
        "python": '"3.12"',
        "only": '"ctrace"',
        "mechanism": '"a jump backward onto its own line"',
    }
    file = tmp_path / "accepted.toml"
    file.write_text("[[difference]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items()), encoding="utf-8")
    assert list(accepted.read(file)) == [Difference("p", "a.py", 1, "3.12", "ctrace")]
    changed = {**entry, **change}
    file.write_text("[[difference]]\n" + "".join(f"{k} = {v}\n" for k, v in changed.items()), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        accepted.read(file)


def test_the_committed_lists_can_be_read() -> None:
    accepted.read()
    assert {package.name for package in suites.read()} >= {"cpython", "networkx"}
