"""The oracle itself: does it see what it must see, and does the comparison fail on one line?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle import coverage_side, surroundings
from tests.oracle.compare import differences
from tests.oracle.run import read_contexts

PROGRAM = """\
import subprocess
import sys
import threading
from tests.oracle import coverage_side
recorder = coverage_side.start()
with recorder.during("profile:p"):
    import lazy
    lazy.later()
    thread = threading.Thread(target=lazy.threaded)
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-m", "child"], check=True)
lazy.after()
"""
LAZY = """\
def during_import():
    return 1
VALUE = during_import()
def later():
    return 2
def threaded():
    return 3
def after():
    return during_import()
"""
CHILD = """\
import lazy
lazy.later()
"""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[int]]]:
    """What the oracle records of a program whose contexts are plain to see."""
    here = tmp_path_factory.mktemp("rule")
    python = surroundings.separate_python(here / "python")
    for name, text in {"program": PROGRAM, "lazy": LAZY, "child": CHILD}.items():
        (here / f"{name}.py").write_text(text, encoding="utf-8")
    config = here / "coverage.ini"
    config.write_text(f"[run]\nomit = */tests/*\n    {here}/program.py\n", encoding="utf-8")
    env = os.environ | {
        coverage_side.CONFIG: str(config),
        coverage_side.DATA_FILE: str(here / "data"),
        coverage_side.ROOT: str(here),
        coverage_side.PROFILE: "p",
    }
    subprocess.run([python, "program.py"], cwd=here, env=env, check=True, timeout=60)
    shards = sorted(here.glob("data.*"))
    assert len(shards) == 2, "one file of the program, one of its child"
    found: dict[str, dict[str, set[int]]] = {}
    for shard in shards:
        for context, lines in read_contexts(shard, root=here).items():
            for path, numbers in lines.items():
                found.setdefault(context, {}).setdefault(path, set()).update(numbers)
    return found


def test_lines_of_an_import_belong_to_it_with_the_functions_that_it_calls(
    contexts: dict[str, dict[str, set[int]]],
) -> None:
    assert contexts["import"] == {"lazy.py": {1, 2, 3, 4, 6, 8}}


def test_the_profile_has_its_threads_and_children_and_their_main_module(
    contexts: dict[str, dict[str, set[int]]],
) -> None:
    assert contexts["profile:p"] == {"lazy.py": {5, 7}, "child.py": {1, 2}}


def test_what_runs_outside_belongs_to_nobody(contexts: dict[str, dict[str, set[int]]]) -> None:
    assert contexts["untraced"] == {"lazy.py": {2, 9}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a.py": {1}}, "a.py:2: only coverage.py: y = 2"),
        ({"a.py": {1, 2, 3}}, "a.py:3: only playtrace: (the file has no such line)"),
        ({"a.py": {1, 2}, "b.py": {7}}, "b.py:7: only playtrace: (there is no such file)"),
    ],
)
def test_the_comparison_fails_on_one_line_and_shows_it(tmp_path: Path, found: dict[str, set[int]], said: str) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n", encoding="utf-8")
    assert differences({"a.py": {1, 2}}, found, tmp_path, ("coverage.py", "playtrace")) == [said]


def test_the_oracle_runs_the_pinned_coverage() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import coverage; print(coverage.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "7.11.3"
