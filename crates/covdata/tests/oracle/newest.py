"""Has the newest coverage.py answer `golden/newest_cases.json` and `golden/values.json`, for tests without it.

    python newest.py > ../golden/newest_answers.json

Run it with a Python that has that release (`requirements/coverage-7.17.txt`); what it prints is committed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import coverage
from coverage.exceptions import ConfigError
from coverage.files import PathAliases, set_relative_directory
from coverage_oracle import config

CASES = Path(__file__).parents[1] / "golden" / "newest_cases.json"
VALUES = CASES.with_name("values.json")


def read(cases: list[dict[str, str]]) -> list[dict[str, Any] | None]:
    """The settings of configuration files; null where they are refused."""
    for case in cases:
        Path(case["name"]).write_text(case["text"], encoding="utf-8")
    return config([{"name": case["name"], "ours": True, "environment": {}} for case in cases])


def renamed(case: dict[str, Any]) -> list[str] | None:
    """The new names of paths, those below the working directory relative to it; null where the rules are refused."""
    here = Path.cwd()
    for file in case["files"]:
        (here / file).parent.mkdir(parents=True, exist_ok=True)
        (here / file).touch()
    aliases = PathAliases(relative=case["relative"])
    try:
        for result, *patterns in case["lists"]:
            for pattern in patterns:
                aliases.add(pattern, result)
    except ConfigError:
        return None
    return [aliases.map(path).removeprefix(f"{here}/") for path in case["paths"]]


def main() -> None:
    """Answer all of them."""
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    answers: dict[str, Any] = {"version": coverage.__version__}
    with tempfile.TemporaryDirectory() as place:
        os.chdir(Path(place).resolve())
        answers["config"] = read(cases["config"])
        # Whether it takes them is all that counts.
        answers["values"] = [taken and True for taken in read(json.loads(VALUES.read_text(encoding="utf-8")))]
        answers["paths"] = []
        for number, case in enumerate(cases["paths"]):
            here = Path(place).resolve() / str(number)
            here.mkdir()
            os.chdir(here)
            set_relative_directory()
            answers["paths"].append(renamed(case))
        os.chdir("/")
    json.dump(answers, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
