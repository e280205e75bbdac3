"""What is started is stopped again, also on Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.oracle import surroundings
from tests.support import until

MARK = "PLAYTRACE_TEST_MARK"


def marked(mark: str) -> list[int]:
    """Processes that carry the mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("script", "ready", "number"),
    [
        ("stack.py", "Ctrl-C stops everything", signal.SIGINT),
        ("stack.py", "Ctrl-C stops everything", signal.SIGTERM),
        # In the middle of the replays.
        ("run_demo.py", "/rq/api/build_subcatchments", signal.SIGINT),
    ],
    ids=["stack, Ctrl-C", "stack, SIGTERM", "demo, Ctrl-C"],
)
def test_nothing_is_left_behind(script: str, ready: str, number: signal.Signals, tmp_path: Path) -> None:
    mark = str(uuid4())
    argv = [sys.executable, str(surroundings.DEMO / script), "--out", str(tmp_path / "out")]
    argv += ["--redis-server", str(surroundings.redis_server()), "--playtrace", str(surroundings.program())]
    if script == "stack.py":
        argv += ["--app-port", "0", "--service-port", "0"]
    output = tmp_path / "said"
    env = os.environ | {MARK: mark, "PYTHONUNBUFFERED": "1"}
    with output.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=tmp_path, start_new_session=True
        )
    try:

        def is_ready() -> bool:
            said = output.read_text(encoding="utf-8")
            assert process.poll() is None, said
            return ready in said

        until(is_ready, f"{script}: {ready}")
        running = marked(mark)
        assert len(running) >= 7, "redis, gunicorn with two workers, two RQ workers, the service, and the script"
        # To the script alone, as `kill` does; Ctrl-C in a terminal reaches its group, which is the script's too.
        os.killpg(process.pid, number)
        code = process.wait(60)
    finally:
        for pid in marked(mark):
            if process.poll() is None:
                os.kill(pid, signal.SIGKILL)
    assert code == (0 if script == "stack.py" else 130), output.read_text(encoding="utf-8")
    assert marked(mark) == [], "processes are left"
