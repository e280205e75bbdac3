"""The least recorder, which the agent's speed is measured against, is exact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benches.tracer import pythons
from benches.tracer.inside.least import WAYS
from benches.tracer.processes import ROOT, environment

_PROGRAM = """
import sys
from pathlib import Path
from benches.tracer.inside.bodies import Bodies
from benches.tracer.inside.tasks import Tasks

tasks = Tasks(Bodies(sys.argv[1], Path(sys.argv[2])))
headers = {"X-Profile-Trace": "bench"}
for _ in range(3):
    tasks.exact(headers)
recorder = tasks.bodies.recorder
before, _ = recorder.counts(True)
tasks.bodies.answer("flat", {})
print(recorder.counts(True)[0] - before, len(list(Path(sys.argv[2]).glob("least/*"))))
"""


@pytest.mark.parametrize("way", WAYS)
def test_each_request_has_all_its_lines_and_nobody_else_any(tmp_path: Path, way: str) -> None:
    built = pythons.least_of(Path(sys.executable), tmp_path, pytest.fail)
    assert built is not None
    env = environment(BENCH_LEAST=str(built))
    command = [sys.executable, "-c", _PROGRAM, way, str(tmp_path)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 1\n"), done.stderr
