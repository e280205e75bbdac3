"""`playtrace perf` on the demo: a real server with and without the agent, jobs, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import little_profiles
from tests.oracle import surroundings
from tests.support import Ended, environment, ledger, open_units, playtrace, run, until

from stack import APP, Stack, answers  # isort: skip
from stack_services import free_port, wait_until  # isort: skip


@pytest.fixture(scope="module")
def plain(stack: Stack) -> Iterator[str]:
    """The stack's app once more, without the agent."""
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "2", "--threads", "4"]
    argv += ["--bind", f"127.0.0.1:{port}", "weppdemo.wsgi:application"]
    env = stack.environment({"ENABLE_PROFILE_COVERAGE": None})
    service = stack.launch("plain", argv, APP, env)
    url = f"http://127.0.0.1:{port}/weppcloud"
    wait_until(lambda: answers(f"{url}/health"), "the app without the agent", [service], 60)
    yield url
    stack.stop_one("plain")


def left_behind(stack: Stack) -> list[Path]:
    """Everything in the coverage directory that belongs to a measurement."""
    return sorted(path for path in stack.coverage_dir.rglob("*") if "playtrace-perf" in str(path))


def sandboxes(stack: Stack) -> set[Path]:
    """The sandboxes that are there."""
    return set(Path(stack.exports()["PROFILE_PLAYBACK_RUN_ROOT"]).iterdir())


def test_both_budgets_of_a_profile_with_a_job_are_measured_and_nothing_is_left(
    stack: Stack, plain: str, tmp_path: Path
) -> None:
    before = sandboxes(stack)
    output, markdown = tmp_path / "perf-baseline.json", tmp_path / "summary.md"
    budgets = ["--max-overhead", "2000%", "--max-idle-overhead", "2000%"]
    arguments: list[str | Path] = ["--plain-url", plain, "--rounds", "8", "--max-rounds", "8", *budgets]
    arguments += ["--output", output, "--markdown", markdown]
    playtrace(stack, "perf", little_profiles.JOB, *arguments).expect(0)
    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["settings"]["arms"] == ["plain", "idle", "traced", "twin"]
    (profile,) = document["profiles"]
    rows = {row["name"]: row for row in profile["rows"]}
    assert (profile["state"], profile["rounds"]) == ("held", 8)
    assert rows["requests"]["judged"] == rows["replay"]["judged"] == {"traced": "held", "idle": "held"}
    # The replay waited for its job, the requests did not.
    assert rows["replay"]["seconds"]["plain"] > rows["requests"]["seconds"]["plain"]
    endpoints = [name for name in rows if "{run}" in name]
    assert len(endpoints) == 3, rows.keys()
    assert all(set(rows[name]["seconds"]) == {"plain", "idle", "traced", "twin"} for name in endpoints)
    assert "### one-job: held" in markdown.read_text(encoding="utf-8")
    assert left_behind(stack) == []
    assert sandboxes(stack) == before


@contextmanager
def measuring(stack: Stack, said: Path) -> Iterator[subprocess.Popen[str]]:
    """A measurement that goes on for as long as the block, unless it is broken off."""
    argv = [str(surroundings.program()), "perf", little_profiles.JOB, "--rounds", "200"]
    argv += ["--output", str(said.with_suffix(".json"))]
    with said.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(argv, env=environment(stack), stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def stop_at_work(stack: Stack, process: subprocess.Popen[str]) -> int:
    """Stop a process of the app in the middle of a measured request or job; its number."""

    def caught() -> int | None:
        assert process.poll() is None, "the measurement has ended"
        for entry in open_units(ledger(stack.coverage_dir, "playtrace-perf")):
            with suppress(ProcessLookupError):
                os.kill(entry.pid, signal.SIGSTOP)
            if any(other.pid == entry.pid for other in open_units(ledger(stack.coverage_dir, "playtrace-perf"))):
                return entry.pid
            # It was quicker.
            with suppress(ProcessLookupError):
                os.kill(entry.pid, signal.SIGCONT)
        return None

    return until(caught, "a measured request")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_measurement_that_is_broken_off_leaves_nothing_although_the_app_goes_on(
    stack: Stack, tmp_path: Path, how: signal.Signals
) -> None:
    before, said = sandboxes(stack), tmp_path / "said"
    with measuring(stack, said) as process:
        pid = stop_at_work(stack, process)
        try:
            process.send_signal(how)
            until(lambda: "is waited for" in said.read_text(encoding="utf-8") or process.poll() is not None, "its word")
            assert process.poll() is None, "it does not wait for what the app is at work on"
        finally:
            os.kill(pid, signal.SIGCONT)
        assert process.wait(60) == 130, said.read_text(encoding="utf-8")
    assert "PT-PERF-001" in said.read_text(encoding="utf-8")
    assert left_behind(stack) == []
    assert sandboxes(stack) == before
    assert not said.with_suffix(".json").exists()


def test_what_a_killed_measurement_leaves_goes_with_the_next(stack: Stack, tmp_path: Path) -> None:
    before = sandboxes(stack)
    with measuring(stack, tmp_path / "said") as process:
        until(lambda: left_behind(stack), "what it leaves")
        process.kill()
    assert left_behind(stack) != []

    def is_gone() -> bool:
        # Ends before it measures anything. What the app is at work on yet stays until then.
        playtrace(stack, "perf", little_profiles.PAGE, "--plain-url", stack.app_url).expect(2)
        return left_behind(stack) == [] and sandboxes(stack) == before

    until(is_gone, "the removal")


def test_an_app_with_an_agent_is_not_taken_for_one_without(stack: Stack, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--plain-url", stack.app_url, "--output", tmp_path / "perf.json"]
    ended = playtrace(stack, "perf", little_profiles.PAGE, *arguments).expect(2)
    assert "PT-PERF-002" in ended.err
    assert left_behind(stack) == []


def test_the_same_program_twice_is_compared(stack: Stack, tmp_path: Path) -> None:
    def measure(*more: str) -> Ended:
        argv: list[str | Path] = [surroundings.program(), "perf", little_profiles.PAGE]
        argv += ["--rounds", "8", "--max-rounds", "8", "--max-overhead", "2000%", *more]
        return run(argv, environment(stack), cwd=tmp_path).expect(0)

    measure()
    said = measure("--compare", "artifacts/perf-baseline.json").out
    assert "requests, traced: " in said
    assert ", was " in said


def test_the_command_of_the_documentation_runs(stack: Stack, plain: str, tmp_path: Path) -> None:
    document = surroundings.REPOSITORY / "docs" / "dev-notes" / "perf.md"
    block = re.search(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    words = shlex.split(block[1].replace("\\\n", " "))
    # As it is written, but for the addresses, a profile that takes less time, and budgets that hold on any machine.
    changed = {"http://127.0.0.1:8080/weppcloud": stack.app_url, "http://127.0.0.1:8081/weppcloud": plain}
    changed |= {"25%": "2000%", "5%": "2000%", "legacy-palouse": little_profiles.PAGE}
    words = [changed.get(word, word) for word in words if word != "single-storm"]
    words = [str(surroundings.program()), *words[1:], "--rounds", "8", "--max-rounds", "8"]
    first = [word for word in words if word not in ("--compare", "artifacts/perf-baseline.json")]
    run(first, environment(stack), cwd=tmp_path).expect(0)
    run(words, environment(stack), cwd=tmp_path).expect(0)
    assert (tmp_path / "perf.md").is_file()
