"""A runner for the generated workflows: evaluates what they use of GitHub's expressions, and runs steps in bash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ruamel.yaml import YAML

from tests.nights import store as store_module
from tests.nights.store import Store

# What watches a step: its process and its working directory.
During = Callable[[subprocess.Popen[str], Path], None]


class _Variables(dict[str, str]):
    """Names that are not set are empty, as on GitHub."""

    def __getattr__(self, name: str) -> str:
        return self.get(name, "")


def load(path: Path) -> dict[str, Any]:
    """A workflow, read by a YAML parser that is not ours."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return document


@dataclass
class Finished:
    """A job that came to its end, or was killed."""

    run: int
    conclusion: str
    output: str
    summary: str
    outcomes: dict[str, str]


@dataclass
class Runner:
    """A machine with a checkout, and what the repository's settings hold."""

    repository: Path
    store: Store
    work: Path
    environment: Mapping[str, str]
    variables: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)

    def run(self, workflow: str, *, night: str = "", during: During | None = None) -> Finished:
        """Run a workflow's one job. `during` is called while the step named Replay runs."""
        document = load(self.repository / ".github" / "workflows" / workflow)
        (job,) = document["jobs"].values()
        number = self.store.begin(workflow)
        work = self.work / str(number)
        shutil.copytree(self.repository / ".github", work / ".github")
        self._names = {
            "vars": _Variables(self.variables),
            "secrets": _Variables(self.secrets),
            "inputs": _Variables(night=night),
            "github": _Variables(token="a token", repository="owner/repository"),
            "steps": _Variables(),
        }
        env = {**self.environment, **{name: self._text(str(value)) for name, value in job["env"].items()}}
        files = {name: work.parent / f"{number}.{name}" for name in ("GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for name, file in files.items():
            file.write_text("", encoding="utf-8")
            env[name] = str(file)
        env |= {"PATH": f"{self._gh()}:{env['PATH']}", "NIGHTS_STORE": str(self.store.root)}
        env["GITHUB_WORKSPACE"] = str(work)
        failed, said, outcomes = False, "", {}
        for step in job["steps"]:
            if not self._is_wanted(step.get("if"), failed):
                outcome = "skipped"
            elif "uses" in step:
                outcome = self._use(step["uses"], step.get("with", {}), number, work)
            else:
                added = files["GITHUB_PATH"].read_text(encoding="utf-8").split()
                path = ":".join([*reversed(added), env["PATH"]])
                watch = during if step["name"] == "Replay" else None
                code, text = self._bash(self._text(step["run"]), {**env, "PATH": path}, work, watch)
                said += f"== {step['name']}\n{text}"
                outcome = "success" if code == 0 else "failure"
            outcomes[step["name"]] = outcome
            if "id" in step:
                self._names["steps"][step["id"]] = SimpleNamespace(outcome=outcome)  # type: ignore[assignment]
            failed = failed or outcome == "failure"
        summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        return Finished(number, "failure" if failed else "success", said, summary, outcomes)

    def _gh(self) -> Path:
        place = self.work / "bin"
        place.mkdir(exist_ok=True)
        gh = place / "gh"
        gh.write_text(f'#!/bin/sh\nexec {sys.executable} {store_module.__file__} "$@"\n', encoding="utf-8")
        gh.chmod(0o755)
        return place

    def _text(self, text: str) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(self._value(match[1])), text)

    def _value(self, expression: str) -> Any:
        python = expression.strip().replace("&&", " and ").replace("||", " or ")
        functions = {"always": lambda: True, "fromJSON": json.loads, "contains": lambda items, item: item in items}
        return eval(python, {"__builtins__": {}}, {**functions, **self._names})

    def _is_wanted(self, condition: str | None, failed: bool) -> bool:
        if condition is None:
            return not failed
        wanted = bool(self._value(condition))
        return wanted and ("always()" in condition or not failed)

    def _use(self, action: str, given: Mapping[str, Any], number: int, work: Path) -> str:
        name, _, tag = action.partition("@")
        assert re.fullmatch(r"v\d+", tag), f"{action} is not pinned"
        if name == "actions/checkout":
            return "success"
        assert name == "actions/upload-artifact", action
        assert given["retention-days"] == 14
        source = work / self._text(given["path"])
        if source.exists():
            self.store.upload(number, self._text(given["name"]), source)
            return "success"
        return "failure" if given["if-no-files-found"] == "error" else "success"

    @staticmethod
    def _bash(script: str, env: Mapping[str, str], work: Path, during: During | None) -> tuple[int, str]:
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        output = work.parent / f"{work.name}.output"
        with output.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                argv, env=dict(env), cwd=work, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            try:
                if during is not None:
                    during(process, work)
                process.wait(120)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, 9)
                    process.wait()
        return process.returncode, output.read_text(encoding="utf-8")
