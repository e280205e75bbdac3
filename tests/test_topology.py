"""The topology of `docker/docker-compose.dev.yml` without Docker: processes of different users, one shared data root,
and a proxy in front of the app.

Each part runs as a user of its own, all in one group. They may read everything (the interpreter may lie in a
directory of root's), but write only what is theirs or their group's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.meddler import Meddler, Meddling
from tests.oracle import surroundings
from tests.support import Ended, contexts_of, environment, flat, options, playtrace, run, verdict_of, without

from stack import Stack  # isort: skip
from stack_services import Service  # isort: skip

SLUG = "legacy-palouse"
GROUP = 64200
USERS = {"redis": 64201, "web": 64202, "worker": 64203, "service": 64204}
STRANGER = 64299


def as_user(user: int, group: int, command: Sequence[str], umask: str = "002") -> list[str]:
    """A command as another user. By umask 002, what one makes, its group may change."""
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    who = ("setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", *reading)
    return [*who, "sh", "-c", f'umask {umask} && exec "$@"', "sh", *command]


class Apart(Stack):
    """The demo's services, each as a user of its own."""

    umask = "002"

    def start(self) -> None:
        """Make the data root as docker/prepare_data.sh does, then start everything."""
        for directory in (self.coverage_dir, self.profiles_root, self.runs_dir, self.playback_base / "runs"):
            directory.mkdir(parents=True)
            os.chown(directory, 0, GROUP)
            directory.chmod(0o2775)
        super().start()

    def launch(self, name: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Service:
        """Start a service as its user."""
        user = USERS[name.partition("-")[0]]
        if name == "redis":
            cwd.mkdir(parents=True, exist_ok=True)
            os.chown(cwd, user, GROUP)
        return super().launch(name, as_user(user, GROUP, argv, self.umask), cwd, env)


def may_change_users() -> bool:
    """Whether this process may start others as other users."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return run(as_user(USERS["web"], GROUP, [sys.executable, "-c", ""]), dict(os.environ)).code == 0


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """The stack, for the whole module."""
    if not may_change_users():
        pytest.skip("not run: needs root and setpriv (util-linux), to start each service as a user of its own")
    with Apart(options(tmp_path_factory.mktemp("apart") / "data", rq_workers=1)) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(apart: Stack) -> Iterator[Meddler]:
    """The proxy in front of the app; it changes nothing until a test tells it to."""
    with Meddler(apart.app_url, Meddling()) as running:
        yield running


def replay(stack: Stack, proxy: Meddler, *more: str | Path) -> Ended:
    """The customer's command: through the service, which reaches the app through the proxy."""
    argv = ["wctl", "run-test-profile", SLUG, "--trace-code", *more]
    return run([*argv, "--service-url", stack.service_url, "--base-url", proxy.url], environment(stack))


def doctor(stack: Stack, proxy: Meddler) -> dict[str, Any]:
    """The checks of `playtrace doctor`, by id."""
    arguments = ("--base-url", proxy.url, "--skip", "probe.concurrency", "--min-free-mb", "16")
    ended = playtrace(stack, "doctor", "--json", "--redis-url", stack.redis_url, *arguments)
    return {check["id"]: check for check in json.loads(ended.out)["checks"]}


def owners(paths: Iterator[Path]) -> set[int]:
    """Who owns these files."""
    return {path.stat().st_uid for path in paths}


def whole_run(stack: Stack, proxy: Meddler) -> str:
    """The run whose data is the profile's; one that is complete, replayed if there is none yet."""
    if not (stack.coverage_dir / f"{SLUG}.verdict.json").is_file():
        replay(stack, proxy).expect(0)
    verdict = verdict_of(stack, SLUG)
    assert verdict.status == "complete"
    return str(verdict.document["run"])


def run_of(ended: Ended) -> str:
    """The token of the run that a replay was."""
    (token,) = re.findall(r"^run ([0-9a-f-]{36}): ", ended.err, re.MULTILINE)
    return str(token)


def test_separate_users_give_complete_data_through_a_proxy(
    apart: Stack, proxy: Meddler, stack: Stack, cold_only: list[tuple[str, range]]
) -> None:
    ended = replay(apart, proxy).expect(0)
    assert ended.out.splitlines()[-1] == "Verdict: complete"
    assert verdict_of(apart, SLUG).status == "complete"
    shards = apart.coverage_dir.glob(f"{SLUG}.coverage.*")
    # The merge adds one more where the ledger was ahead of a shard.
    assert owners(shards) - {USERS["service"]} == {USERS["web"], USERS["worker"]}, "each wrote its own"
    assert owners(iter([apart.coverage_dir / f"{SLUG}.coverage"])) == {USERS["service"]}, "the service merged"
    ledgers = (apart.coverage_dir / ".playtrace" / SLUG / run_of(ended)).glob("*.ledger")
    assert owners(ledgers) == {USERS["web"], USERS["worker"], USERS["service"]}
    # The same lines as where one user runs all and nothing stands between, but for what is computed once in a process.
    playtrace(stack, "play", SLUG, "--trace-code").expect(0)
    here, there = (without(contexts_of(of, SLUG), cold_only) for of in (stack, apart))
    assert flat({SLUG: here[f"profile:{SLUG}"]}) == flat({SLUG: there[f"profile:{SLUG}"]})
    assert {ident for ident, check in doctor(apart, proxy).items() if check["status"] == "failed"} == set()


def test_the_next_run_clears_up_what_other_users_wrote(apart: Stack, proxy: Meddler) -> None:
    first = whole_run(apart, proxy)
    before = set(apart.coverage_dir.glob(f"{SLUG}.coverage.*"))
    assert before
    second = replay(apart, proxy).expect(0)
    assert verdict_of(apart, SLUG).document["run"] == run_of(second) != first
    assert not before & set(apart.coverage_dir.glob(f"{SLUG}.coverage.*")), "they belong to web and worker"


def test_who_is_not_of_the_group_can_look_and_not_merge(apart: Stack, proxy: Meddler, tmp_path: Path) -> None:
    whole_run(apart, proxy)
    there = [path.name for path in apart.coverage_dir.iterdir()]
    command = [str(surroundings.program()), "combine", "--profile", SLUG, str(apart.coverage_dir)]
    ended = run(as_user(STRANGER, STRANGER, command), environment(apart))
    assert ended.code == 6
    assert str(apart.coverage_dir) in ended.text
    assert [path.name for path in apart.coverage_dir.iterdir()] == there
    shards = [str(surroundings.program()), "shards", str(apart.coverage_dir)]
    assert SLUG in run(as_user(STRANGER, STRANGER, shards), environment(apart)).expect(0).out


@pytest.mark.parametrize("header", ["X-Profile-Trace", "X-Profile-Trace-Status"])
def test_a_dropped_header_is_named_by_verdict_and_doctor(apart: Stack, proxy: Meddler, header: str) -> None:
    good = whole_run(apart, proxy)
    proxy.meddling.drops = {header.lower()}
    try:
        ended = replay(apart, proxy)
        checks = doctor(apart, proxy)
    finally:
        proxy.meddling.drops = set()
    assert ended.code == 1
    assert "Verdict: failed" in ended.out.splitlines()
    assert "no agent in the web process" in ended.text
    assert "a proxy" in ended.text
    failed = {ident for ident, check in checks.items() if check["status"] == "failed"}
    assert failed == {"header.arrives"}
    assert header in checks["header.arrives"]["remedy"]
    # A run that failed does not replace the one that is whole.
    assert verdict_of(apart, SLUG).document["run"] == good


def test_a_dropped_run_header_is_named_by_verdict_and_doctor(apart: Stack, proxy: Meddler) -> None:
    good = whole_run(apart, proxy)
    proxy.meddling.drops = {"x-profile-trace-run"}
    try:
        ended = replay(apart, proxy)
        checks = doctor(apart, proxy)
    finally:
        proxy.meddling.drops = set()
    assert ended.code == 3
    assert "Verdict: partial" in ended.out.splitlines()
    assert "X-Profile-Trace-Run" in ended.text
    assert {ident for ident, check in checks.items() if check["status"] == "failed"} == {"header.run"}
    assert "X-Profile-Trace-Run" in checks["header.run"]["reason"]
    assert verdict_of(apart, SLUG).document["run"] == good


def test_by_the_umask_that_is_usual_all_may_write_where_they_have_to(apart: Apart, proxy: Meddler) -> None:
    """Whoever makes a run's directory first, its group may write there: 022 takes nothing away."""

    def restart(umask: str) -> None:
        apart.umask = umask
        apart.stop_one("service")
        apart.start_service()

    restart("022")
    try:
        replay(apart, proxy).expect(0)
    finally:
        restart("002")
    made = [path for path in (apart.coverage_dir / ".playtrace").rglob("*") if path.is_dir()]
    assert made
    assert [path for path in made if path.stat().st_mode & 0o7777 != 0o2775] == []
