"""Bad input and a broken environment: a clear message, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import little_profiles
from tests.support import Replay, environment, options, playtrace, run, until, verdict_of

from stack import Stack  # isort: skip
from stack_services import free_port  # isort: skip

# A directory that nobody can write in, root included.
UNWRITABLE = Path("/proc/tty")

OFF = {"ENABLE_PROFILE_COVERAGE": None}


def written(stack: Stack) -> set[Path]:
    """Everything that replaying or merging leaves behind, one directory up included."""
    places = [stack.coverage_dir, stack.profiles_root, stack.playback_base, stack.out.parent]
    return {path for place in places for path in place.rglob("*") if ".boot" not in path.parts}


def no_data(stack: Stack, slug: str) -> None:
    """Fail when there is a merged file of the profile, or the beginning of one."""
    left = [path.name for path in stack.coverage_dir.iterdir() if path.is_file() and slug in path.name]
    assert not left, left


# The profile --------------------------------------------------------------------------------------


def test_unknown_profile(stack: Stack) -> None:
    before = written(stack)
    ended = playtrace(stack, "play", "legacy-palous", "--trace-code").expect(4)
    assert "PT-PROFILE-002" in ended.text
    assert "legacy-palouse" in ended.text, "the message offers the name that was meant"
    through_service = playtrace(stack, "run-test-profile", "nosuch", "--trace-code")
    assert through_service.code != 0
    assert "nosuch" in through_service.text
    assert requests.post(f"{stack.service_url}/run/nosuch", json={}, timeout=30).status_code == 404
    assert written(stack) == before


@pytest.mark.parametrize("slug", ["../legacy-palouse", "..", "a/b", ".hidden", "a.coverage"])
def test_a_slug_that_leaves_its_directory_on_the_command_line(stack: Stack, slug: str, tmp_path: Path) -> None:
    before = written(stack)
    for command in ("play", "run-test-profile"):
        ended = playtrace(stack, command, slug, "--trace-code")
        assert ended.code in (2, 4), f"{ended}: {ended.code}"
        assert "can't name a profile" in ended.text
    names = tmp_path / "profiles.txt"
    names.write_text(f"{little_profiles.PAGE}\n{slug}\n", encoding="utf-8")
    batch = playtrace(stack, "run-profile-coverage-batch", "--profiles-file", names, "--artifacts-dir", tmp_path / "a")
    assert batch.code in (2, 4)
    assert "profiles.txt:2" in batch.text
    assert not (tmp_path / "a").exists()
    assert written(stack) == before


@pytest.mark.parametrize("slug", ["..%2F..%2Fetc", "%2e%2e", "a%2Fb", ".hidden"])
def test_a_slug_that_leaves_its_directory_in_the_service(stack: Stack, slug: str) -> None:
    before = written(stack)
    # A prepared URL: nothing on this side tidies it up.
    request = requests.Request("POST", "http://placeholder", json={}).prepare()
    request.url = f"{stack.service_url}/run/{slug}"
    with requests.Session() as session:
        answer = session.send(request, timeout=30)
    assert answer.status_code == 400, answer.text
    assert "PT-PROFILE-001" in json.dumps(answer.json())
    assert written(stack) == before


@pytest.mark.parametrize("slug", ["../evil", "a/b", "..", "x" * 200, ".boot"])
def test_a_slug_that_leaves_its_directory_in_the_header(stack: Stack, slug: str) -> None:
    before = written(stack)
    answer = requests.get(f"{stack.app_url}/login", headers={"X-Profile-Trace": slug}, timeout=30)
    assert answer.ok, "the request itself is served"
    assert answer.headers["X-Profile-Trace-Status"].startswith("off; ")
    assert written(stack) == before


def test_a_broken_line_of_a_recording(stack: Stack, tmp_path: Path) -> None:
    before = written(stack)
    profile = little_profiles.cut(tmp_path / "profiles" / "broken", [("GET", "/legacy/")])
    events = profile / "capture" / "events.jsonl"
    events.write_text(events.read_text(encoding="utf-8") + '{"stage": "request", "id"\n', encoding="utf-8")
    ended = playtrace(stack, "play", "broken", "--trace-code", "--profiles-root", tmp_path / "profiles").expect(4)
    assert "events.jsonl:3" in ended.text
    assert "PT-PROFILE-004" in ended.text
    assert sorted(path.name for path in (tmp_path / "profiles").iterdir()) == ["broken"]
    assert written(stack) == before


# The surroundings ---------------------------------------------------------------------------------


def test_the_app_is_not_reachable(stack: Stack) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/weppcloud"
    ended = playtrace(stack, "play", little_profiles.PAGE, "--trace-code", "--base-url", nowhere).expect(5)
    assert "PT-REPLAY-010" in ended.text
    assert nowhere in ended.text
    no_data(stack, little_profiles.PAGE)


def test_the_service_is_not_reachable(stack: Stack) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    ended = playtrace(stack, "run-test-profile", little_profiles.PAGE, "--service-url", nowhere).expect(5)
    assert nowhere in ended.text


def test_wrong_password(stack: Stack) -> None:
    ended = playtrace(stack, "play", little_profiles.PAGE, "--trace-code", ADMIN_PASSWORD="not-the-password").expect(5)
    assert "PT-REPLAY-011" in ended.text
    assert "ADMIN_PASSWORD" in ended.text
    assert "not-the-password" not in ended.out + ended.err
    no_data(stack, little_profiles.PAGE)


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ([], {"PROFILE_COVERAGE_DIR": str(UNWRITABLE)}),
        (["--coverage-dir", str(UNWRITABLE / "copy")], {}),
    ],
    ids=["the shards' directory", "the copy's directory"],
)
def test_an_unwritable_coverage_directory(stack: Stack, arguments: list[str], changes: dict[str, str]) -> None:
    before = written(stack)
    argv = ["play", little_profiles.PAGE, "--trace-code", *arguments]
    ended = playtrace(stack, *argv, **changes)
    assert ended.code == 6, f"{ended.code}: {ended.text}"
    assert "PT-PLAY-002" in ended.text
    assert str(UNWRITABLE) in ended.text
    assert written(stack) == before


def test_a_job_that_never_ends(stack: Stack, tmp_path: Path) -> None:
    slug = little_profiles.JOB
    argv = ["play", slug, "--trace-code", "--job-timeout", "2"]
    with Replay.begin(stack, tmp_path / "log", *argv) as replay:
        with replay.holding("ron"):
            said = until(lambda: line_about_timeout(replay), "the end of patience")
        ended = replay.wait().expect(1)
    assert "2 s" in said
    assert "project_jobs.archive" in ended.text
    verdict = verdict_of(stack, slug)
    assert verdict.status == "failed", verdict.reasons
    assert "2 s" in verdict.reasons


def line_about_timeout(replay: Replay) -> str | None:
    """The line of the log in which the player gives the job up."""
    replay.check()
    lines = replay.output.read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if "after 2 s" in line), None)


def test_a_file_that_is_no_data_file(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "x.coverage.host.1.Xabcdefx").write_bytes(b"not a database")
    ended = playtrace(stack, "combine", "--data-file", tmp_path / "x", tmp_path)
    assert ended.code == 4, ended.text
    assert "x.coverage.host.1.Xabcdefx" in ended.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.coverage.host.1.Xabcdefx"]


# Agents that are not there, Redis down: a stack of its own, whose parts are taken away -------------


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory, little: Path) -> Iterator[Stack]:
    """A small stack that tests may damage."""
    small = options(
        tmp_path_factory.mktemp("fragile") / "stack",
        profiles=little,
        playtrace=None,
        workers=1,
        rq_workers=1,
        web_env=OFF,
    )
    with Stack(small) as running:
        yield running


def test_no_agent_in_the_web_process(fragile: Stack) -> None:
    fragile.options.web_env = OFF
    fragile.restart_web()
    ended = playtrace(fragile, "play", little_profiles.JOB, "--trace-code").expect(1)
    assert "no agent in the web process" in ended.text
    assert fragile.app_url in ended.text
    assert "PT-REPLAY-012" in ended.text
    no_data(fragile, little_profiles.JOB)
    # Without --trace-code nobody asks for one.
    playtrace(fragile, "play", little_profiles.JOB).expect(0)


def test_no_agent_in_the_worker(fragile: Stack) -> None:
    fragile.options.web_env, fragile.options.worker_env = {}, OFF
    fragile.restart_web()
    fragile.restart_workers()
    ended = playtrace(fragile, "play", little_profiles.JOB, "--trace-code")
    assert ended.code in (1, 3), ended.text
    assert "no agent" in ended.text
    assert "worker" in ended.text
    verdict = verdict_of(fragile, little_profiles.JOB)
    assert verdict.status in ("failed", "partial")
    assert "no agent" in verdict.reasons
    assert "project_jobs.archive" in verdict.reasons
    fragile.options.worker_env = {}
    fragile.restart_workers()
    playtrace(fragile, "play", little_profiles.JOB, "--trace-code").expect(0)


def test_the_agent_can_not_write(fragile: Stack) -> None:
    fragile.options.web_env = {"PROFILE_COVERAGE_DIR": str(UNWRITABLE)}
    fragile.restart_web()
    headers = {"X-Profile-Trace": "unwritable"}
    answer = requests.get(f"{fragile.app_url}/login", headers=headers, timeout=30)
    assert answer.ok, "the app goes on"
    assert answer.headers["X-Profile-Trace-Status"].startswith("off; ")
    ended = playtrace(fragile, "play", little_profiles.PAGE, "--trace-code").expect(1)
    assert "PT-REPLAY-013" in ended.text
    assert str(UNWRITABLE) in ended.text, "the reason names the directory"
    no_data(fragile, little_profiles.PAGE)
    fragile.options.web_env = {}
    fragile.restart_web()


def test_redis_is_down(fragile: Stack) -> None:
    fragile.options.web_env = {}
    fragile.restart_web()
    fragile.stop_one("redis")
    try:
        ended = playtrace(fragile, "play", little_profiles.PROBE, "--trace-code").expect(1)
        assert "/rq/api/archive" in ended.text
        assert "500" in ended.text
        verdict = verdict_of(fragile, little_profiles.PROBE)
        assert verdict.status == "failed"
        assert "/rq/api/archive" in verdict.reasons
        assert requests.get(f"{fragile.app_url}/health", timeout=30).ok, "the app still serves"
    finally:
        fragile.start_redis()
        fragile.restart_workers()


def test_a_wrong_setting_of_the_agent_stops_the_start(fragile: Stack, tmp_path: Path) -> None:
    program = "import playtrace_agent.flask, flask; playtrace_agent.flask.init_app(flask.Flask('x'))"
    env = fragile.environment({"PROFILE_COVERAGE_CONFIG": str(tmp_path / "nosuch.ini")})
    ended = run([fragile.options.python, "-c", program], env)
    assert ended.code != 0
    assert "PROFILE_COVERAGE_CONFIG" in ended.err
    assert "nosuch.ini" in ended.err


def test_the_environment_of_a_test_is_the_stacks(stack: Stack) -> None:
    """A variable of the surroundings must not decide where these tests write."""
    env = environment(stack)
    assert env["PROFILE_COVERAGE_DIR"] == str(stack.coverage_dir)
    assert shutil.which("wctl", path=env["PATH"])
