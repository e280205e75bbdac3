"""WEPPcloud's fork and archive flows, against the demo app: `wctl run-fork-profile` and `run-archive-profile`."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.run import read_contexts
from tests.support import Ended, contexts_of, environment, function_span, ledger, playtrace, run, until, verdict_of

from stack import Stack  # isort: skip

SLUG = "legacy-palouse"


def wctl(stack: Stack, *words: str | Path, cwd: Path) -> Ended:
    """Type `wctl …` in a directory."""
    return run(["wctl", *words], environment(stack), cwd=cwd)


def summary_of(stack: Stack, ended: Ended) -> dict[str, Any]:
    """What the service says about the run that a command has just done."""
    found = re.search(r"(http://\S+/run/result/(\S+))", ended.err)
    assert found is not None, ended.err
    with urllib.request.urlopen(found[1]) as answer:
        said: dict[str, Any] = json.load(answer)
    kept = json.loads((stack.profiles_root / "_runs" / f"{found[2]}.json").read_text(encoding="utf-8"))
    assert said == kept
    return said


def refusal(stack: Stack, path: str, body: object) -> tuple[int, dict[str, Any]]:
    """How the service refuses a POST."""
    data = json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{stack.service_url}{path}", data=data, method="POST"))
    said: dict[str, Any] = json.loads(caught.value.read())
    return caught.value.code, said


def lines_of(stack: Stack, slug: str, function: str) -> set[int]:
    """The lines of a function that a profile's data has."""
    path, span = function_span(function)
    contexts = contexts_of(stack, slug)
    assert set(contexts) <= {f"profile:{slug}", "import"}
    return set(contexts[f"profile:{slug}"].get(path, set())) & set(span)


def test_a_fork_is_made_and_traced(stack: Stack, tmp_path: Path) -> None:
    copy = tmp_path / "copies"
    ended = wctl(
        stack,
        *("run-fork-profile", SLUG, "--undisturbify", "--timeout", "120", "--trace-code", "--coverage-dir", copy),
        *("--service-url", stack.service_url, "--base-url", stack.app_url),
        cwd=tmp_path,
    ).expect(0)
    lines = ended.out.splitlines()
    assert lines[-2] == f"Profile coverage saved to {copy / f'{SLUG}-fork.coverage'}"
    assert lines[-1].startswith("Verdict: complete"), ended.out
    summary = summary_of(stack, ended)
    flow = summary["flow"]
    assert (summary["profile"], summary["traced_as"], summary["outcome"]) == (SLUG, f"{SLUG}-fork", "passed")
    assert (flow["kind"], flow["status"]) == ("fork", "finished")
    assert flow["job_id"] in ended.out
    assert flow["new_run_id"] == f"profile;;fork;;{summary['token']}"
    assert summary["sandbox_run_id"] == f"profile;;tmp;;{summary['token']}"
    assert summary["source_run_id"] == "legacy-palouse-0001"
    # A copy, without the fire, of what the snapshot held.
    fork = stack.playback_base / "fork" / summary["token"]
    assert flow["fork_dir"] == str(fork)
    snapshot = stack.profiles_root / SLUG / "run"
    assert (fork / "uploads/dem").read_bytes() == (snapshot / "uploads/dem").read_bytes()
    assert json.loads((fork / "nodb/ron.json").read_text(encoding="utf-8"))["name"] == "Palouse, the old one (fork)"
    assert json.loads((fork / "nodb/landuse.json").read_text(encoding="utf-8"))["has_sbs"] is False
    # The request, and the job that it enqueued; nothing of the recording.
    assert lines_of(stack, f"{SLUG}-fork", "weppdemo.routes.project_api.fork")
    assert lines_of(stack, f"{SLUG}-fork", "weppdemo.rq.project_jobs.fork")
    assert not lines_of(stack, f"{SLUG}-fork", "weppdemo.rq.project_jobs.archive")
    assert read_contexts(copy / f"{SLUG}-fork.coverage") == contexts_of(stack, f"{SLUG}-fork")
    manifest = [entry.record for entry in ledger(stack.coverage_dir, f"{SLUG}-fork", summary["token"])]
    assert [record["steps"] for record in manifest if record["t"] == "manifest"] == [1]


def test_an_archive_is_made_and_traced(stack: Stack, tmp_path: Path) -> None:
    ended = wctl(
        stack, "run-archive-profile", SLUG, "--archive-comment", "v2.3.1 baseline", "--trace-code", cwd=tmp_path
    ).expect(0)
    summary = summary_of(stack, ended)
    flow = summary["flow"]
    place = stack.playback_base / "archive" / summary["token"]
    assert flow == {
        "kind": "archive",
        "job_id": flow["job_id"],
        "status": "finished",
        "archive_run_id": f"profile;;archive;;{summary['token']}",
        "archive_dir": str(place),
        "archives": ["archive-001.zip"],
        "comment": "v2.3.1 baseline",
    }
    with zipfile.ZipFile(place / "archive-001.zip") as archive:
        assert archive.testzip() is None
        assert "uploads/dem" in archive.namelist()
    sandbox = stack.playback_base / "runs" / summary["token"]
    (kept,) = json.loads((sandbox / "nodb/ron.json").read_text(encoding="utf-8"))["archives"]
    assert (kept["name"], kept["comment"]) == ("archive-001.zip", "v2.3.1 baseline")
    assert f"Profile coverage saved to {stack.coverage_dir / f'{SLUG}-archive.coverage'}" in ended.out
    assert verdict_of(stack, f"{SLUG}-archive").status == "complete"
    assert lines_of(stack, f"{SLUG}-archive", "weppdemo.export.archive.pack")
    assert not lines_of(stack, f"{SLUG}-archive", "weppdemo.rq.project_jobs.fork")


def test_a_flow_leaves_the_data_of_the_profile_itself_alone(stack: Stack, tmp_path: Path) -> None:
    playtrace(stack, "play", SLUG, "--trace-code").expect(0)
    data = stack.coverage_dir / f"{SLUG}.coverage"
    shards = {path.name for path in stack.coverage_dir.glob(f"{SLUG}.coverage.*")}
    before = data.read_bytes()
    wctl(stack, "run-fork-profile", SLUG, "--trace-code", cwd=tmp_path).expect(0)
    assert data.read_bytes() == before
    assert {path.name for path in stack.coverage_dir.glob(f"{SLUG}.coverage.*")} == shards


def test_a_copy_gets_the_id_that_is_asked_for(stack: Stack, tmp_path: Path) -> None:
    ended = wctl(stack, "run-fork-profile", SLUG, "--target-runid", "palouse-again", cwd=tmp_path).expect(0)
    summary = summary_of(stack, ended)
    assert summary["flow"]["new_run_id"] == "palouse-again"
    # Where the app keeps such runs is its business.
    assert "fork_dir" not in summary["flow"]
    assert (stack.runs_dir / "palouse-again" / "uploads/dem").is_file()
    assert summary["verdict"] is None
    assert "Profile coverage saved" not in ended.out


def test_what_the_app_refuses_and_what_never_ends_is_a_failed_run(stack: Stack, tmp_path: Path) -> None:
    # Ids that the app does not take.
    ended = wctl(stack, "run-fork-profile", SLUG, "--target-runid", "No Such Id!", "--trace-code", cwd=tmp_path)
    assert ended.expect(1).out.splitlines()[-2].startswith("Verdict: failed"), ended.out
    assert "is not a run id" in ended.out
    summary = summary_of(stack, ended)
    assert (summary["outcome"], summary["exit_code"], summary["flow"]["job_id"]) == ("failed", 1, None)
    # A job that nobody takes up is waited for no longer than was said.
    for service in stack.worker_services():
        service.stop(10)
    try:
        ended = wctl(stack, "run-archive-profile", SLUG, "--timeout", "1", cwd=tmp_path).expect(1)
    finally:
        stack.start_workers()
    assert "still queued after 1 s" in ended.text
    summary = summary_of(stack, ended)
    assert (summary["flow"]["status"], summary["outcome"]) == ("queued", "failed")
    assert "archives" not in summary["flow"]
    # The job goes on now; the tests after this one look at what changes.
    told = Path(summary["run_dir"]) / "log/progress.log"
    until(lambda: told.is_file() and "archive" in told.read_text(encoding="utf-8"), "the archive's job")


def test_a_dry_run_shows_the_request_and_does_nothing(stack: Stack, tmp_path: Path) -> None:
    places = [stack.coverage_dir, stack.profiles_root, stack.playback_base]

    def everything() -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_mtime_ns) for place in places for path in place.rglob("*")}

    before = everything()
    ended = wctl(stack, "run-archive-profile", SLUG, "--dry-run", "--trace-code", cwd=tmp_path).expect(0)
    assert re.search(r"\[1/1\] POST \S+/runs/profile;;tmp;;\S+/legacy/rq/api/archive expects 200", ended.out)
    assert everything() == before


def test_what_can_not_be_done_is_refused_with_a_code(stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(stack.profiles_root / SLUG, stack.profiles_root / "taken")
    shutil.copytree(stack.profiles_root / SLUG, stack.profiles_root / "taken-fork")
    try:
        for path, body, status, code, word in [
            ("/fork/nobody", {}, 404, "PT-PROFILE-002", "nobody"),
            ("/fork/au-disturbed", {}, 422, "PT-REPLAY-014", "it has no snapshot"),
            (f"/archive/{SLUG}", {"comment": "x" * 201}, 422, "PT-REPLAY-014", "200 characters"),
            (f"/fork/{SLUG}", {"target_runid": " "}, 422, "PT-REPLAY-014", "is empty"),
            (f"/fork/{SLUG}", {"undisturbify": "perhaps"}, 400, "PT-SERVE-001", "not what /fork takes"),
            (f"/fork/{SLUG}", {"timeout_seconds": 0}, 400, "PT-PLAY-010", "timeout_seconds"),
            ("/fork/taken", {}, 422, "PT-PLAY-009", "taken-fork"),
        ]:
            said = refusal(stack, path, body)
            assert (said[0], said[1]["code"]) == (status, code), said
            assert word in said[1]["error"]
        ended = wctl(stack, "run-fork-profile", "au-disturbed", cwd=tmp_path).expect(4)
        assert "PT-SERVE-008" in ended.text
        assert "[PT-REPLAY-014]" in ended.text
        wctl(stack, "run-fork-profile", SLUG, "--timeout", "0", cwd=tmp_path).expect(2)
        wctl(stack, "run-fork-profile", SLUG, "--archive-comment", "x", cwd=tmp_path).expect(2)
    finally:
        shutil.rmtree(stack.profiles_root / "taken")
        shutil.rmtree(stack.profiles_root / "taken-fork")
