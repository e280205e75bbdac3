"""The whole stack with a secret: the player signs, the app asks for it, jobs inherit, and it is found nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import little_profiles
from tests.support import Ended, environment, ledger, options, playtrace, run, until, verdict_of

from stack import Stack  # isort: skip

SECRET = "correct-horse-battery-staple"
OTHER = "a-wrong-horse-battery-staple"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("signed")
    little_profiles.write_all(root / "profiles")
    with Stack(
        options(root / "stack", profiles=root / "profiles", rq_workers=1, env={"PROFILE_TRACE_SECRET": SECRET})
    ) as running:
        yield running


def by(secret: str | None) -> dict[str, str | None]:
    return {"PROFILE_TRACE_SECRET": secret}


def signature(ended: Ended) -> dict[str, str]:
    """What the doctor says of the secret."""
    checks = json.loads(ended.out)["checks"]
    [found] = [check for check in checks if check["id"] == "web.signature"]
    return dict(found)


def doctor(stack: Stack, secret: str | None) -> Ended:
    skip = ("probe.concurrency", "rq.workers", "disk.space")
    words = [word for check in skip for word in ("--skip", check)]
    return playtrace(stack, "doctor", "--json", *words, **by(secret))


def test_a_replay_through_the_service_is_complete_with_its_job(signed: Stack) -> None:
    """The service has the secret. Pages redirect: each hop has a signature of its own."""
    ended = playtrace(signed, "run-test-profile", little_profiles.JOB, "--trace-code", **by(None)).expect(0)
    verdict = verdict_of(signed, little_profiles.JOB)
    assert (verdict.status, verdict.document["jobs"]) == ("complete", 1), verdict.reasons
    assert SECRET not in ended.text


def test_a_replay_with_another_secret_or_none_says_what_is_wrong_and_leaves_no_data(signed: Stack) -> None:
    for secret, code in ((OTHER, "PT-GRANT-005"), (None, "PT-GRANT-003")):
        ended = playtrace(signed, "play", little_profiles.PAGE, "--trace-code", **by(secret)).expect(1)
        assert "PT-REPLAY-013" in ended.text
        assert code in ended.text
        assert SECRET not in ended.text
        assert OTHER not in ended.text
        requests_of = [entry for entry in ledger(signed.coverage_dir, little_profiles.PAGE) if entry.kind == "open"]
        assert requests_of == []
    ended = playtrace(signed, "play", little_profiles.PAGE, **by("short")).expect(2)
    assert "PT-GRANT-001" in ended.text
    assert "short" not in ended.text.replace("too short", "")


def test_a_redirect_has_a_signature_of_its_own(signed: Stack) -> None:
    """Whoever is not logged in is sent on: the copy that curl would make is refused, the player's own is not."""
    headers = dict(
        line.split(": ", 1) for line in playtrace(signed, "sign", "by-hand", **by(SECRET)).expect(0).out.splitlines()
    )
    answer = requests.get(f"{signed.app_url}/", headers=headers, timeout=30)
    assert [hop.headers["X-Profile-Trace-Status"] for hop in answer.history] == ["on"]
    assert "PT-GRANT-008" in answer.headers["X-Profile-Trace-Status"]
    found = json.loads(doctor(signed, SECRET).out)["checks"]
    assert {check["id"]: check["status"] for check in found}["header.redirects"] == "ok"


def test_headers_for_curl(signed: Stack) -> None:
    command = (
        f"playtrace sign by-hand --run check-1 --step 7 | curl --silent --include --header @- {signed.app_url}/login"
    )
    ended = run(["bash", "-c", command], environment(signed, **by(SECRET))).expect(0)
    assert "x-profile-trace-status: on" in ended.out.lower()
    [opened] = until(
        lambda: [entry for entry in ledger(signed.coverage_dir, "by-hand", "check-1") if entry.kind == "open"],
        "the request in the ledger",
    )
    assert opened.record["step"] == 7
    ended = playtrace(signed, "sign", "by-hand", **by(None)).expect(2)
    assert "PT-GRANT-011" in ended.text


def test_the_doctor_tells_when_player_and_app_differ(signed: Stack) -> None:
    found = signature(doctor(signed, SECRET))
    assert found["status"] == "ok", found
    assert found["reason"].startswith("what is signed is traced, and what is not signed is not")
    for secret, reason in ((OTHER, "the secret here is not the app's"), (None, "no signature arrives")):
        ended = doctor(signed, secret)
        found = signature(ended)
        assert (found["status"], found["reason"].startswith(reason)) == ("failed", True), found
        assert "PROFILE_TRACE_SECRET" in found["remedy"]
        assert SECRET not in ended.text
        assert OTHER not in ended.text


def test_the_doctor_tells_when_only_the_player_has_a_secret(stack: Stack) -> None:
    found = signature(doctor(stack, SECRET))
    assert found["status"] == "failed"
    assert "the app traces requests that are not signed" in found["reason"]
    assert signature(doctor(stack, None))["status"] == "ok"


def test_the_secret_is_nowhere(signed: Stack) -> None:
    """In no log, ledger, shard, summary or report of the stack, and in no process's command."""
    signed.check()
    for path in signed.out.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except OSError:
            continue
        assert SECRET.encode() not in command, command
