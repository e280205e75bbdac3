"""Two nights: one in which all goes well, and one with a failing, a flaky, a missing and a killed profile."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from tests.gate import Gate
from tests.nights.runner import Finished, Runner
from tests.nights.store import Store
from tests.support import environment, until

from stack import Stack  # isort: skip

AGGREGATION = "forest_workflow_nightly_aggregation.yml"
LIST = ".github/forest_workflows/playback-profiles.yml"
_SETTINGS = (
    "PROFILE_PLAYBACK_URL",
    "PROFILE_PLAYBACK_BASE_URL",
    "PROFILE_COVERAGE_DIR",
    "PROFILE_COVERAGE_CONFIG",
    "PROFILE_COVERAGE_ROOT",
)
FIRST, SECOND = "2026-11-28", "2026-11-29"


@dataclass
class Bundle:
    """A night's bundle, unpacked in memory."""

    files: dict[str, bytes]

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Unpack it with zstd's own library and Python's tarfile: neither is ours."""
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            plain = reader.read()
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
            return cls({member.name: file.read() for member, file in members if file is not None})

    def json(self, name: str) -> Any:
        """One of its documents."""
        return json.loads(self.files[name])

    def told(self) -> dict[str, tuple[str, str | None, int | None]]:
        """How each workflow went; where its data comes from, and how old that is."""
        entries = self.json("manifest.json")["entries"]
        told = {}
        for entry in entries:
            data = entry.get("data", {})
            told[entry["workflow"]] = (entry["tonight"], data.get("origin"), data.get("age_nights"))
        return told


@dataclass
class Nights:
    """A stack, a repository with generated workflows, and a runner for them."""

    stack: Stack
    runner: Runner
    store: Store

    @classmethod
    def over(cls, stack: Stack, repository: Path, work: Path, **changes: str) -> Nights:
        """The repository's settings are those of the stack."""
        work.mkdir(parents=True, exist_ok=True)
        exports = stack.exports()
        env = environment(stack, **dict.fromkeys(exports))
        env["PLAYTRACE_RETRY_WAIT"] = "1"
        # Found by the workflows themselves.
        env["PATH"] = os.environ["PATH"]
        variables = {name: exports[name] for name in _SETTINGS}
        program = environment(stack)["PATH"].split(":")[0]
        variables |= {"PLAYTRACE_BIN": program, "ENABLE_PROFILE_COVERAGE": "1"}
        variables |= {"PROFILE_PLAYBACK_HEALTH_URL": f"{stack.app_url}/health", **changes}
        secrets = {name: exports[name] for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD")}
        store = Store(work / "store")
        return cls(stack, Runner(repository, store, work, env, variables, secrets), store)

    def play(self, workflow: str, during: Callable[[subprocess.Popen[str], Path], None] | None = None) -> Finished:
        """Run the playback of an entry of the list."""
        return self.runner.run(f"forest_workflow_{workflow}.yml", during=during)

    def aggregate(self, night: str) -> tuple[Finished, Bundle]:
        """Run the aggregation; its bundle."""
        ended = self.runner.run(AGGREGATION, night=night)
        place = self.store.artifact(ended.run, "playtrace-night")
        assert place.is_dir(), ended.output
        return ended, Bundle.read(place / f"playtrace-night-{night}.tar.zst")

    def events(self, profile: str) -> Path:
        """A profile's recording, as the service reads it."""
        return self.stack.profiles_root / profile / "capture" / "events.jsonl"

    @contextmanager
    def broken(self, profile: str) -> Iterator[Callable[[], None]]:
        """A profile whose last page is not there; what is yielded mends it."""
        path = self.events(profile)
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        last = max(number for number, line in enumerate(lines) if json.loads(line)["stage"] == "request")
        gone = re.sub(r'("endpoint": ?")([^"]+)"', r'\1\2-nobody-has-this"', lines[last])
        assert gone != lines[last]
        path.write_text("\n".join([*lines[:last], gone, *lines[last + 1 :]]) + "\n", encoding="utf-8")

        def mend() -> None:
            path.write_text(text, encoding="utf-8")

        try:
            yield mend
        finally:
            mend()

    def play_killed(self, workflow: str, log: str) -> Finished:
        """Kill the job's processes while its requests wait in front of the app; what must run always runs then."""
        gate = Gate(self.runner.variables["PROFILE_PLAYBACK_BASE_URL"])
        usual = dict(self.runner.variables)

        def kill(process: subprocess.Popen[str], work: Path) -> None:
            def begun() -> bool:
                said = work / log
                assert process.poll() is None, "it ended before it could be killed"
                return said.is_file() and said.stat().st_size > 0

            until(begun, "the replay's first words")
            os.killpg(process.pid, signal.SIGKILL)

        try:
            self.runner.variables["PROFILE_PLAYBACK_BASE_URL"] = gate.url
            return self.play(workflow, during=kill)
        finally:
            self.runner.variables.update(usual)
            gate.close()


def attempts(work: Path, workflow: str) -> int:
    """How many tries of a job have ended."""
    path = work / "playback-artifact" / workflow / "job.json"
    return len(json.loads(path.read_text(encoding="utf-8"))["attempts"]) if path.is_file() else 0


@dataclass(frozen=True)
class Cast:
    """Which workflow of the list plays which part in the second night."""

    fine: str | None
    fails: str
    flaky: str
    missing: str
    killed: str
    # By workflow: the log's path and artifact, the profile.
    logs: Mapping[str, str]
    log_names: Mapping[str, str]
    profiles: Mapping[str, str]


def two_nights(nights: Nights, cast: Cast, also: Mapping[str, tuple[str, str | None, int | None]]) -> None:
    """Play both nights and check all that they come to; `also` what further workflows must come to in both."""
    fine = [cast.fine] if cast.fine else []
    parts = [*fine, cast.fails, cast.flaky, cast.missing, cast.killed]
    for workflow in parts:
        ended = nights.play(workflow)
        assert ended.conclusion == "success", ended.output
        kept = {path.name for path in nights.store.artifact(ended.run, f"playback-{workflow}").iterdir()}
        profile = cast.profiles[workflow]
        assert {"job.json", "summary.md", f"{profile}.coverage", f"{profile}.verdict.json"} <= kept
        assert "| 1 | 0 | complete |" in ended.summary
        assert f"### {workflow} (run of `{profile}`)" in ended.summary
    for workflow in also:
        nights.play(workflow)
    ended, first = nights.aggregate(FIRST)
    assert ended.conclusion == "success", ended.output
    assert first.told() == {**dict.fromkeys(parts, ("passed", "fresh", 0)), **also}, ended.output
    assert f"# Profiles: night of {FIRST}" in ended.summary
    wanted = {"manifest.json", "summary.md", "matrix.json", "matrix.md", "gaps.txt", "coverage-symbols.json"}
    kinds = ("coverage", "verdict.json", "steps.json")
    wanted |= {f"data/{cast.profiles[part]}.{kind}" for part in parts for kind in kinds} | {"night.coverage"}
    wanted |= {f"reports/{cast.profiles[part]}.json" for part in parts} | {f"jobs/{part}.json" for part in parts}
    assert wanted <= first.files.keys()
    names = {entry["workflow"]: entry["name"] for entry in first.json("manifest.json")["entries"]}
    for workflow in also:
        assert first.json(f"reports/{names[workflow]}.json")["summary"]["lines_covered"] > 0, workflow
    assert next(iter(first.files)) == "manifest.json"

    nights.store.a_day_passes()
    for workflow in fine:
        assert nights.play(workflow).conclusion == "success"
    with nights.broken(cast.profiles[cast.fails]):
        failed = nights.play(cast.fails)
    assert failed.conclusion == "failure"
    assert failed.outcomes["Upload the log"] == failed.outcomes["Upload coverage and the job's record"] == "success"
    log = nights.store.artifact(failed.run, cast.log_names[cast.fails]) / Path(cast.logs[cast.fails]).name
    assert "nobody-has-this" in log.read_text(encoding="utf-8")
    with nights.broken(cast.profiles[cast.flaky]) as mend:

        def mend_after_first(process: subprocess.Popen[str], work: Path) -> None:
            def has_failed() -> bool:
                assert process.poll() is None, "it was not tried again"
                return attempts(work, cast.flaky) == 1

            until(has_failed, "the first try's end")
            mend()

        flaky = nights.play(cast.flaky, during=mend_after_first)
    assert flaky.conclusion == "success", flaky.output
    killed = nights.play_killed(cast.killed, cast.logs[cast.killed])
    assert killed.conclusion == "failure"
    assert "Begun, and not ended." in killed.summary
    for workflow in also:
        nights.play(workflow)
    ended, second = nights.aggregate(SECOND)
    # What failed is red itself; the night has its bundle.
    assert ended.conclusion == "success", ended.output
    assert "::warning title=Profiles carried forward::" in ended.output
    assert second.told() == {
        **dict.fromkeys(fine, ("passed", "fresh", 0)),
        cast.fails: ("failed", "carried", 1),
        cast.flaky: ("flaky", "fresh", 0),
        cast.missing: ("missing", "carried", 1),
        cast.killed: ("killed", "carried", 1),
        **also,
    }, ended.output
    carried = [cast.fails, cast.missing, cast.killed]
    for part in carried:
        name = f"data/{cast.profiles[part]}.coverage"
        assert second.files[name] == first.files[name], "the last good night's data, byte for byte"
        assert f"| {part} | {cast.profiles[part]} |" in ended.summary
        report = second.json(f"reports/{cast.profiles[part]}.json")
        assert report["status"] == "stale"
        assert report["summary"]["lines_covered"] > 0
        assert f"carried forward from the night of {FIRST} (1 night old, then complete)" in " ".join(report["reasons"])
    statuses = {profile["profile"]: profile["status"] for profile in second.json("matrix.json")["profiles"]}
    wanted_statuses = dict.fromkeys([*fine, cast.flaky], "complete") | dict.fromkeys(carried, "stale")
    assert {part: statuses[cast.profiles[part]] for part in parts} == wanted_statuses
    assert second.json("matrix.json")["gaps"]["certain"] is False


def repository(root: Path, listed: str, program: Path) -> Path:
    """A repository with a list and what is generated of it."""
    (root / LIST).parent.mkdir(parents=True)
    (root / LIST).write_text(listed, encoding="utf-8")
    subprocess.run([str(program), "workflows", "generate", "--quiet", "--root", str(root)], check=True)
    return root
