"""The thinnest thread through everything: one route, one job, one kill, no player.

Header → ledger → shard → merge → verdict → report.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from tests import little_profiles
from tests.oracle import surroundings
from tests.oracle.client import Account, Sender
from tests.oracle.run import Lines
from tests.support import Entry, contexts_of, coverage, function_span, ledger, playtrace, until, verdict_of

from stack import ADMIN_EMAIL, ADMIN_PASSWORD, Stack  # isort: skip

SLUG = "thread"


@pytest.fixture(scope="module")
def lines(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """The merged lines of the profile. Its web process was killed before anybody merged."""
    profile = little_profiles.cut(tmp_path_factory.mktemp("thread") / SLUG, [("POST", "/rq/api/archive")])
    run_root = Path(stack.exports()["PROFILE_PLAYBACK_RUN_ROOT"])
    sent = Sender(profile, stack.app_url, run_root, Account(ADMIN_EMAIL, ADMIN_PASSWORD)).send(stack.check)
    assert [status for *_, status in sent.statuses] == [200]
    assert list(sent.jobs.values()) == ["finished"]
    # The job's own record may be a moment behind what Redis says.
    entries = until(lambda: finished(stack), "the end of the request and of the job in the ledger")
    (served,) = {entry.pid for entry in entries if entry.record.get("kind") == "request"}
    stack.kill_web_worker(served)
    playtrace(stack, "combine", "--profile", SLUG, stack.coverage_dir).expect(0)
    return contexts_of(stack, SLUG)[f"profile:{SLUG}"]


def finished(stack: Stack) -> list[Entry] | None:
    """The ledger's records, once a request and a job are in it from beginning to end."""
    entries = ledger(stack.coverage_dir, SLUG)
    kinds = [entry.kind for entry in entries]
    return entries if kinds.count("open") == kinds.count("closed") == 2 else None


def test_the_route_and_its_job_are_in_the_merged_file(lines: Lines) -> None:
    route, route_lines = function_span("weppdemo.routes.project_api.archive")
    job, job_lines = function_span("weppdemo.rq.project_jobs.archive")
    # The docstrings' lines are no code; all others ran.
    assert lines[route] == set(route_lines[1:]) - blank(route)
    assert lines[job] == set(job_lines[1:]) - blank(job)


def blank(path: str) -> set[int]:
    """The numbers of a file's empty lines."""
    text = (surroundings.ROOT / path).read_text(encoding="utf-8")
    return {number for number, line in enumerate(text.splitlines(), start=1) if not line.strip()}


def test_without_a_player_the_verdict_is_consistent(stack: Stack, lines: Lines) -> None:
    verdict = verdict_of(stack, SLUG)
    assert verdict.status == "consistent", verdict.reasons
    assert (verdict.document["requests"], verdict.document["jobs"]) == (1, 1)
    assert set(lines) <= set(verdict.document["sources"])


def test_the_report_names_what_ran_and_what_did_not(stack: Stack, lines: Lines, tmp_path: Path) -> None:
    playtrace(
        stack,
        *("report", SLUG, "--data-dir", stack.coverage_dir, "--output-dir", tmp_path, "--format", "json"),
    ).expect(0)
    report = json.loads((tmp_path / "reports" / f"{SLUG}.json").read_text(encoding="utf-8"))
    symbols = {symbol["name"]: symbol for symbol in report["symbols"]}
    assert (report["profile"], report["status"]) == (SLUG, "consistent")
    for name, file in {
        "weppdemo.routes.project_api.archive": "demo/app/weppdemo/routes/project_api.py",
        "weppdemo.rq.project_jobs.archive": "demo/app/weppdemo/rq/project_jobs.py",
    }.items():
        symbol = symbols[name]
        assert symbol["covered"], name
        assert symbol["file"] == file
        assert set(symbol["executed_lines"]) == lines[file], name
    assert not symbols["weppdemo.rq.project_jobs.fork"]["covered"]
    assert report["summary"]["lines_covered"] == covered_statements(stack, tmp_path / "coverage.json")


def covered_statements(stack: Stack, output: Path) -> int:
    """How many statements the profile covered, as coverage.py counts them."""
    coverage(
        *("json", "--data-file", stack.coverage_dir / f"{SLUG}.coverage", "--rcfile", surroundings.CONFIG),
        *("--contexts", f"^profile:{SLUG}$", "-o", output),
        cwd=surroundings.ROOT,
    ).expect(0)
    return int(json.loads(output.read_text(encoding="utf-8"))["totals"]["covered_lines"])


def test_a_traced_answer_says_so_and_others_do_not(stack: Stack) -> None:
    page = f"{stack.app_url}/login"
    traced = requests.get(page, headers={"X-Profile-Trace": "says-so"}, timeout=30)
    assert traced.headers["X-Profile-Trace-Status"] == "on"
    assert "X-Profile-Trace-Status" not in requests.get(page, timeout=30).headers
