"""`make matrix`: runs the tests that the table names, on each Python, and writes the page and its results.

Exits non-zero where a test failed. With `--only`, the results of all other lines stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.matrix import page, recorder, table
from tests.oracle.surroundings import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "matrix.md"
RESULTS = REPOSITORY / "benches" / "results" / "matrix.json"
# Seconds for all tests of one environment.
_PATIENCE = 4 * 3600


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="lines whose group/name this pattern finds; can be repeated")
    parser.add_argument("--python", action="append", choices=table.PYTHONS, help="only this one; can be repeated")
    parser.add_argument("--page", action="store_true", help="only write the page, from the results that there are")
    options = parser.parse_args()
    if not options.page:
        rows = [row for row in table.ROWS if any(re.search(pattern, row.id) for pattern in options.only or [""])]
        for version in options.python or table.PYTHONS:
            for environment in sorted({row.environment for row in rows}):
                _run(version, environment, [row for row in rows if row.environment == environment])
    results = read()
    text = page.render(table.GROUPS, table.ROWS, table.PYTHONS, results)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(one["failures"] for one in results["rows"]) else 0


def read() -> dict[str, Any]:
    """Return the results that there are."""
    if not RESULTS.exists():
        machine = {"cpus": os.cpu_count(), "system": platform.system(), "processor": platform.machine()}
        return {"machine": machine, "versions": {"python": {}}, "rows": []}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def _run(version: str, environment: str, rows: Sequence[table.Row]) -> None:
    """Run the tests of lines of one environment on one Python, each test once, and write down what came of them."""
    said_as = f"CPython {version}{environment and ', ' + environment}"
    python = table.find(version, environment)
    if python is None:
        print(f"==> {said_as}: not here", flush=True)
        return
    print(f"==> {said_as}: {len(rows)} lines", flush=True)
    said = _tests(python, rows)
    # Only now: another run may have written in the meantime.
    results = read()
    if not environment:
        results["versions"]["python"][version] = said["python"]
    new = {f"{row.id} {version}": _row(row, version, said) for row in rows}
    kept = [one for one in results["rows"] if one["id"] not in new]
    # In the table's order, without the results of lines that are no longer in it.
    order = {f"{row.id} {version}": place for place, (row, version) in enumerate(table.pairs())}
    known = [one for one in [*kept, *new.values()] if one["id"] in order]
    results["rows"] = sorted(known, key=lambda one: order[one["id"]])
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _tests(python: Path, rows: Iterable[table.Row]) -> dict[str, Any]:
    """Run the tests of some lines in one process, each once, and return what the recorder wrote."""
    wanted = sorted({test.partition("::")[0] for row in rows for test in row.tests.split()})
    with tempfile.TemporaryDirectory() as scratch:
        written, chosen = Path(scratch) / "results.json", Path(scratch) / "chosen"
        chosen.write_text("\n".join(sorted({test for row in rows for test in row.tests.split()})), encoding="utf-8")
        env = {
            **os.environ,
            recorder.RESULTS: str(written),
            recorder.DISTRIBUTIONS: " ".join(sorted({name for row in rows for name in row.distributions.split()})),
            recorder.CHOSEN: str(chosen),
            "PLAYTRACE_TEST_QUEUES": "all",
            "PLAYTRACE_TEST_REDIS_SERVER": str(REPOSITORY / ".tools" / "redis-server"),
            "PLAYTRACE_TEST_PROGRAM": str(REPOSITORY / "target" / "release" / "playtrace"),
        }
        command = [str(python), "-m", "pytest", "-p", "tests.matrix.recorder", "-p", "no:cacheprovider"]
        files = [f"python/tests/{name}" for name in wanted]
        subprocess.run([*command, *files], cwd=REPOSITORY, env=env, check=False, timeout=_PATIENCE)
        found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        return found


def _row(row: table.Row, version: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line's result, as `benches/results/*.json` have them."""
    tests = {
        name: result
        for name, result in said["tests"].items()
        if any(table.matches(wanted, name) for wanted in row.tests.split())
    }
    passed = sum(outcome == "passed" for outcome, _ in tests.values())
    reasons = [why for outcome, why in tests.values() if outcome == "skipped"]
    missing = [test for test in row.tests.split() if not any(table.matches(test, name) for name in tests)]
    failures = [f"{name}: {why}" for name, (outcome, why) in sorted(tests.items()) if outcome == "failed"]
    failures += [f"{name}: there is no such test, or its file could not be read" for name in missing]
    return {
        "id": f"{row.id} {version}",
        "python": version,
        "value": passed,
        "unit": "tests passed",
        "target": len(tests) + len(missing),
        "better": "higher",
        "met": not failures and passed > 0,
        "peers": {},
        "of": {name: said["versions"][name] for name in row.distributions.split()},
        "failures": failures,
        "reason": reasons[0] if reasons else "",
        "how": "make matrix",
    }


if __name__ == "__main__":
    sys.exit(main())
