"""`make rq-matrix`: the tests of RQ with each version of RQ that the agent is proven with, and a table of what passed.

For each `requirements/rq-<version>.txt` a virtual environment is made under `.tools/`, with the agent's wheel in it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ["python/tests/test_rq.py", "python/tests/test_rq_cases.py", "python/tests/test_rq_ends.py"]
#: In a test's parameters; the others choose their workers themselves.
KINDS = ["forking", "simple", "spawning", "pool"]
#: Seconds for all tests of one version.
PATIENCE = 3600


def versions() -> list[str]:
    """Return the versions that there are requirements for, oldest first."""
    found = [path.stem.removeprefix("rq-") for path in (ROOT / "requirements").glob("rq-*.txt")]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def environment(version: str, wheel: Path) -> Path:
    """Make a virtual environment with a version of RQ and the wheel; return its interpreter."""
    requirements = ROOT / "requirements" / f"rq-{version}.txt"
    venv = ROOT / ".tools" / f"rq-{version}"
    python, made_from = venv / "bin" / "python", venv / "made-from"
    wanted = f"{sys.version}\n{requirements.read_text()}"
    if not made_from.exists() or made_from.read_text() != wanted:
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip(python, "--require-hashes", "-r", str(requirements))
        made_from.write_text(wanted)
    pip(python, "--no-deps", "--force-reinstall", str(wheel))
    return python


def pip(python: Path, *arguments: str) -> None:
    """Install something."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    subprocess.run(command, check=True)


def test(python: Path, results: Path, chosen: list[str]) -> dict[str, tuple[int, int, int]]:
    """Run the tests; return how many there are, passed and were skipped, by kind of worker."""
    results.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", *TESTS, "--timeout=1000", f"--junit-xml={results}", *chosen]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PLAYTRACE_TEST_RQ": "all"}, check=False, timeout=PATIENCE)
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for case in ET.parse(results).iter("testcase"):
        parameters = re.findall(r"\w+", case.get("name", "").partition("[")[2])
        row = counted[next((kind for kind in KINDS if kind in parameters), "other")]
        row[0] += 1
        row[1] += len(case) == 0
        row[2] += case.find("skipped") is not None
    return {kind: (row[0], row[1], row[2]) for kind, row in counted.items()}


def main() -> int:
    """Run the matrix; 0 if every test passed that the version can do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", action="append", choices=versions(), help="only this version; may be repeated")
    parser.add_argument("--wheel", type=Path, help="the agent's wheel [default: the one in dist/]")
    parser.add_argument("chosen", nargs="*", help="passed on to pytest")
    given = parser.parse_args()
    wheel = given.wheel or next((ROOT / "dist").glob("playtrace_agent-*.whl"), None)
    if wheel is None:
        parser.error("there is no wheel in dist/: run `make build`")
    results = ROOT / "out" / "rq-matrix"
    results.mkdir(parents=True, exist_ok=True)
    rows = []
    for version in given.version or versions():
        print(f"==> RQ {version}", flush=True)
        counted = test(environment(version, wheel.absolute()), results / f"{version}.xml", given.chosen)
        rows += [(version, kind, *counted[kind]) for kind in [*KINDS, "other"] if kind in counted]
    print(f"\n{'RQ':<8} {'worker':<10} {'cases':>6} {'passed':>7} {'skipped':>8}")
    for version, kind, cases, passed, skipped in rows:
        mark = "" if passed + skipped == cases else "   FAILED"
        print(f"{version:<8} {kind:<10} {cases:>6} {passed:>7} {skipped:>8}{mark}")
    return 0 if rows and all(passed + skipped == cases for _, _, cases, passed, skipped in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
