"""`wctl check-profile-coverage`: each thing that can fall out of step is planted, named with its place, and mended."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.oracle import surroundings
from tests.support import Ended, run

LIST = ".github/forest_workflows/playback-profiles.yml"
CONFIG = "coverage.profile-playback.ini"
DOCUMENT = surroundings.REPOSITORY / "docs" / "dev-notes" / "check.md"
SCHEMA = surroundings.REPOSITORY / "docs" / "schema" / "check.schema.json"

APP = '''"""An app."""


class Area:
    """Land."""

    def size(self) -> float:
        return 2.5


def double(area: Area) -> float:
    return 2 * area.size()


def half(area: Area) -> float:
    return area.size() / 2
'''
SETTINGS = """
[tool.playtrace]
python-version = "3.12"
requirements = ["requirements.txt"]
profiles-root = "profiles"
"""
INI = """[run]
relative_files = True
source = app
omit =
    */site-packages/*
    */old/*

[report]
omit = app/generated.py
"""
ENTRY = """
- workflow_slug: run-palouse
  title: Palouse
  playback_type: fork
  profile_slug: legacy-palouse
  schedule_pt: 03:10
  artifact_name: palouse-log
  artifact_path: telemetry/palouse.log
  description: A snapshot is copied
"""


def write(path: Path, text: str) -> None:
    """Write a file with the directories that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def check(root: Path, *arguments: str | Path, **changes: str) -> Ended:
    """Run the check in a repository, in an environment that says nothing else."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PROFILE_", "GITHUB_", "VIRTUAL_"))}
    env |= {"PLAYTRACE_CACHE_DIR": str(root.parent / "cache"), "NO_COLOR": "1", **changes}
    return run([surroundings.program().with_name("wctl"), "check-profile-coverage", *arguments], env, cwd=root)


def report(ended: Ended) -> dict[str, Any]:
    """The JSON."""
    document: dict[str, Any] = json.loads(ended.out)
    assert document["in_step"] == (ended.code == 0)
    return document


def found(ended: Ended) -> list[tuple[str, str, str | None, int | None]]:
    """Check, kind, file and line of everything that was found."""
    return [
        (one["id"], finding["kind"], finding.get("file"), finding.get("line"))
        for one in report(ended)["checks"]
        for finding in one["findings"]
    ]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in which all is in step."""
    root = tmp_path / "repository"
    write(root / "app/__init__.py", "")
    write(root / "app/land.py", APP)
    write(root / "app/generated.py", "x = 1\n")
    write(root / "app/old/__init__.py", "y = 1\n")
    write(root / CONFIG, INI)
    write(root / "pyproject.toml", SETTINGS)
    write(root / "requirements.txt", "flask\ncoverage==7.11.3  # pinned\n")
    write(root / LIST, ENTRY)
    write(root / ".venv/lib/python3.12/site-packages/coverage-7.11.3.dist-info/METADATA", "Name: coverage\n")
    shutil.copytree(surroundings.DEMO / "profiles/legacy-palouse", root / "profiles/legacy-palouse")
    ended = check(root, "--fix").expect(0)
    assert "wrote coverage-symbols.json" in ended.out
    return root


def test_all_in_step(repository: Path) -> None:
    ended = check(repository, "--json").expect(0)
    states = {one["id"]: one["state"] for one in report(ended)["checks"]}
    names = "config patterns sources inventory coverage-py workflows preset profiles"
    assert states == dict.fromkeys(names.split(), "ok")
    assert list(states) == names.split()
    assert check(repository, "--quiet").expect(0).out == ""
    # What was left out of the tree is not in the inventory.
    files = {file["path"] for file in json.loads((repository / "coverage-symbols.json").read_text())["files"]}
    assert files == {"app/__init__.py", "app/land.py"}
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    check(repository, "--fix").expect(0)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


def test_each_change_of_the_source_is_named_and_mended(repository: Path) -> None:
    land = repository / "app/land.py"
    changed = APP.replace("2.5", "3.5").replace("def double", "def twice").replace("class Area", "\nclass Area")
    write(land, changed.split("def half")[0].rstrip() + "\n\n\ndef third() -> int:\n    return 3\n")
    ended = check(repository, "--json").expect(1)
    assert found(ended) == [
        ("inventory", "added", "app/land.py", 16),
        ("inventory", "added", "app/land.py", 12),
        ("inventory", "removed", "app/land.py", None),
        ("inventory", "removed", "app/land.py", None),
        ("inventory", "changed", "app/land.py", 5),
        ("inventory", "changed", "app/land.py", 8),
    ]
    assert "app/land.py:16: added: app/land.py::third is not in the inventory [PT-CHECK-005]" in check(repository).out
    check(repository, "--fix").expect(0)
    check(repository).expect(0)
    # The same text elsewhere; the same text under another name of the file; a comment that belongs to no symbol.
    write(land, "# A comment.\n" + land.read_text(encoding="utf-8"))
    kinds = {kind for _, kind, _, _ in found(check(repository, "--json").expect(1))}
    assert "shifted" in kinds
    check(repository, "--fix").expect(0)
    land.rename(repository / "app/soil.py")
    moved = found(check(repository, "--json").expect(1))
    assert ("inventory", "moved", "app/soil.py", 13) in moved
    check(repository, "--fix").expect(0)
    write(repository / "app/__init__.py", "# Nothing.\n")
    assert found(check(repository, "--json").expect(1))[0][2] == "app/__init__.py"
    check(repository, "--fix").expect(0)
    write(repository / "app/broken.py", "def (:\n")
    assert ("inventory", "differs", "coverage-symbols.json", None) in found(check(repository, "--json").expect(1))


def gone(*names: str) -> Callable[[Path], None]:
    """Delete files or directories."""

    def change(root: Path) -> None:
        for name in names:
            path = root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    return change


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace a text in a file."""

    def change(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        write(root / name, text.replace(old, new, 1))

    return change


WORKFLOW = ".github/workflows/forest_workflow_run-palouse.yml"
EVENTS = "profiles/legacy-palouse/capture/events.jsonl"


@pytest.mark.parametrize(
    ("change", "wanted", "code", "is_mended"),
    [
        (gone("app/old"), ("patterns", "matches-nothing", CONFIG, 6), "PT-CHECK-008", False),
        (
            edited(CONFIG, "app/generated.py", "app/generatde.py"),
            ("patterns", "matches-nothing", CONFIG, 9),
            "PT-CHECK-008",
            False,
        ),
        (edited(CONFIG, "source = app", "source = app, web"), ("sources", "missing", CONFIG, 3), "PT-CHECK-009", False),
        (edited(CONFIG, "relative_files", "relative_file"), ("config", "unknown", CONFIG, 2), "PT-CHECK-007", False),
        (edited(CONFIG, "omit =", "omit"), ("config", "unreadable", CONFIG, 4), "PT-COVDATA", False),
        (
            edited("requirements.txt", "7.11.3", "7.17.5"),
            ("coverage-py", "other-release", "requirements.txt", 2),
            "PT-CHECK-010",
            False,
        ),
        (
            edited("requirements.txt", "==7.11.3", ">=7"),
            ("coverage-py", "not-pinned", "requirements.txt", 2),
            "PT-CHECK-010",
            False,
        ),
        (
            edited("requirements.txt", "coverage==7.11.3", ""),
            ("coverage-py", "not-pinned", "requirements.txt", None),
            "PT-CHECK-010",
            False,
        ),
        (gone("requirements.txt"), ("coverage-py", "missing", "requirements.txt", None), "PT-CHECK-010", False),
        (gone("coverage-symbols.json"), ("inventory", "missing", "coverage-symbols.json", None), "PT-CHECK-004", True),
        (
            edited("coverage-symbols.json", "{", "["),
            ("inventory", "unreadable", "coverage-symbols.json", None),
            "PT-MAPS-002",
            True,
        ),
        (gone(WORKFLOW), ("workflows", "missing", WORKFLOW, None), "PT-CHECK-012", True),
        (
            edited(WORKFLOW, "timeout-minutes: 120", "timeout-minutes: 7"),
            ("workflows", "differs", WORKFLOW, 28),
            "PT-CHECK-012",
            True,
        ),
        (edited(LIST, "03:10", "33:10"), ("workflows", "unreadable", LIST, 2), "PT-NIGHTLY-003", False),
        (edited(EVENTS, '{"stage"', '{"stage'), ("profiles", "unreadable", EVENTS, 1), "PT-PROFILE-004", False),
        (
            edited(EVENTS, '"bodyType": "json"', '"bodyType": "blob"'),
            ("profiles", "unreadable", EVENTS, 3),
            "PT-REPLAY-006",
            False,
        ),
        (gone("profiles/legacy-palouse/run"), ("profiles", "unreadable", LIST, None), "PT-REPLAY-014", False),
        (gone("profiles/legacy-palouse/capture"), ("profiles", "missing", LIST, None), "PT-CHECK-011", False),
        (gone("profiles"), ("profiles", "missing", None, None), "PT-PROFILE-003", False),
        (
            edited("pyproject.toml", "requirements =", 'preset = "weppclowd"\nrequirements ='),
            ("preset", "unreadable", None, None),
            "PT-REPLAY-002",
            False,
        ),
    ],
)
def test_each_fault_is_named_with_its_place(
    repository: Path,
    change: Callable[[Path], None],
    wanted: tuple[str, str, str | None, int | None],
    code: str,
    is_mended: bool,
) -> None:
    change(repository)
    ended = check(repository, "--json").expect(1)
    assert wanted in found(ended), ended.out
    codes = {one["code"] for check in report(ended)["checks"] for one in check["findings"]}
    assert any(known.startswith(code) for known in codes), codes
    check(repository, "--fix").expect(0 if is_mended else 1)
    check(repository).expect(0 if is_mended else 1)


def test_the_release_that_is_installed_counts(repository: Path) -> None:
    packages = repository / ".venv/lib/python3.12/site-packages"
    (packages / "coverage-7.11.3.dist-info").rename(packages / "coverage-7.17.5.dist-info")
    assert found(check(repository, "--json").expect(1)) == [("coverage-py", "other-release", None, None)]
    assert "coverage.py 7.17.5 is installed in .venv, and 7.11.3 is asked for" in check(repository).out
    write(repository / "requirements.txt", "coverage==7.17.5\n")
    check(repository, "--coverage-py", "7.17.5").expect(0)


def test_a_pattern_may_be_allowed_to_match_nothing(repository: Path) -> None:
    shutil.rmtree(repository / "app/old")
    edited("pyproject.toml", "requirements =", 'allow-unmatched = ["*/old/*"]\nrequirements =')(repository)
    check(repository).expect(0)


def test_github_gets_annotations(repository: Path) -> None:
    write(repository / "app/land.py", APP + "\n\ndef new() -> None:\n    pass\n")
    ended = check(repository, GITHUB_ACTIONS="true").expect(1)
    line = "::error file=app/land.py,line=19,title=PT-CHECK-005::added: app/land.py::new is not in the inventory"
    assert line in ended.out.splitlines()
    assert check(repository, "--format", "github").expect(1).out == ended.out
    assert "::error" not in check(repository, "--format", "text", GITHUB_ACTIONS="true").expect(1).out
    # Where nothing is wrong, nothing is annotated.
    check(repository, "--fix").expect(0)
    assert "::error" not in check(repository, GITHUB_ACTIONS="true").expect(0).out


def test_the_json_keeps_to_its_schema(repository: Path, tmp_path: Path) -> None:
    documents = [check(repository, "--json").expect(0).out]
    shutil.rmtree(repository / "profiles/legacy-palouse/run")
    shutil.rmtree(repository / "app/old")
    write(repository / "app/land.py", APP.replace("half", "third"))
    write(repository / "requirements.txt", "coverage\n")
    (repository / WORKFLOW).unlink()
    documents += [check(repository, "--json").expect(1).out, check(repository, "--json", "--fix").expect(1).out]
    places = [tmp_path / f"{number}.json" for number in range(len(documents))]
    for place, document in zip(places, documents, strict=True):
        write(place, document)
    argv: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--schemafile", SCHEMA, *places]
    assert run(argv, dict(os.environ)).code == 0
    assert json.loads(documents[-1])["fixed"] == ["coverage-symbols.json", WORKFLOW]


def test_what_there_is_none_of_is_not_checked_and_does_not_fail(tmp_path: Path) -> None:
    root = tmp_path / "bare"
    write(root / "app.py", "x = 1\n")
    ended = check(root, "--fix").expect(2)
    assert "PT-CHECK-003" in ended.text
    assert "--python-version" in ended.text
    check(root, "--fix", "--python-version", "3.12").expect(0)
    states = {one["id"]: one["state"] for one in report(check(root, "--json").expect(0))["checks"]}
    unlooked = {name for name, state in states.items() if state == "not-checked"}
    assert unlooked == {"coverage-py", "workflows", "profiles"}
    write(root / "pyproject.toml", "[tool.playtrace]\nrots = []\n")
    refused = check(root).expect(4)
    assert "PT-CHECK-001" in refused.text
    assert "pyproject.toml:2: unknown field" in refused.text


def test_this_repository_is_in_step() -> None:
    ended = check(surroundings.REPOSITORY, "--json", "--venv", surroundings.REPOSITORY / "nowhere").expect(0)
    states = {one["id"]: (one["state"], one["detail"]) for one in report(ended)["checks"]}
    assert {state for state, _ in states.values()} == {"ok"}, states
    assert "coverage-symbols.json" in states["inventory"][1]
    assert states["profiles"][1] == "5 in demo/profiles"


def test_the_commands_and_keys_of_the_documentation_are_real(repository: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for command in "".join(blocks).splitlines():
        words = shlex.split(command)
        assert words[:2] == ["wctl", "check-profile-coverage"]
        check(repository, *words[2:]).expect(0)
    (table,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    keys = tomllib.loads(table)["tool"]["playtrace"]
    # Each is taken, and each option of the command line has the name of its key.
    write(repository / "pyproject.toml", table)
    assert check(repository).code != 4
    options = check(repository, "--help").expect(0).out
    for key in set(keys) - {"roots", "allow-unmatched"}:
        assert f"--{key} " in options, key
    for target in re.findall(r"\]\(([^)#:]+)", text):
        assert (DOCUMENT.parent / target).exists(), target


def test_the_hooks_of_pre_commit_run(repository: Path) -> None:
    hooks: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(surroundings.REPOSITORY / ".pre-commit-hooks.yaml")
    assert [hook["id"] for hook in hooks] == ["check-profile-coverage", "fix-profile-coverage"]
    write(repository / "app/land.py", APP.replace("half", "third"))
    for hook, code in zip(hooks, (1, 0), strict=True):
        # What pre-commit needs of a hook: https://pre-commit.com/#creating-new-hooks
        assert {"id", "name", "entry", "language"} <= set(hook)
        words = shlex.split(hook["entry"])
        assert words[:2] == ["playtrace", "check-profile-coverage"]
        check(repository, *words[2:]).expect(code)
        for name in ("app/land.py", CONFIG, LIST, "coverage-symbols.json", "requirements.txt", EVENTS):
            assert re.search(hook["files"], name), name
        assert not re.search(hook["files"], "README.md")
