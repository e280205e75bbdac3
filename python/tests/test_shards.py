"""What lies on disk, whatever others do to it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from conftest import Workspace

WORK = """
def first():
    return 1


def second():
    return 2


def both():
    return first() + second()
"""


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    workspace.write("work.py", WORK)
    return workspace


DRIVER = """
import glob, os, work, playtrace_agent
data = os.environ["PROFILE_COVERAGE_DIR"]

def shards():
    return sorted(glob.glob(data + "/p.coverage.*"))
"""


def test_a_shard_that_was_taken_away_comes_back_whole(work: Workspace) -> None:
    outcome = work.run(
        DRIVER
        + """
with playtrace_agent.trace("p", "r"):
    work.first()
[one] = shards()
os.unlink(one)
with playtrace_agent.trace("p", "r"):
    work.second()
[two] = shards()
assert one != two
"""
    )
    assert outcome.wrote.lines("p", "work.py") == [2, 6]
    assert outcome.wrote.ledger_lines("p", "r") == {"profile:p": {"work.py": [2, 6]}}


def test_a_shard_that_was_replaced_is_left_alone(work: Workspace) -> None:
    outcome = work.run(
        DRIVER
        + """
with playtrace_agent.trace("p", "r"):
    work.first()
[one] = shards()
os.unlink(one)
with open(one, "w") as file:
    file.write("mine")
with playtrace_agent.trace("p", "r"):
    work.second()
assert open(one).read() == "mine"
os.unlink(one)
"""
    )
    assert outcome.wrote.lines("p", "work.py") == [2, 6]


def test_nothing_new_writes_nothing(work: Workspace) -> None:
    outcome = work.run(
        DRIVER
        + """
for n in range(3):
    with playtrace_agent.trace("p"):
        work.both()
    print(os.stat(shards()[0]).st_mtime_ns)
"""
    )
    assert len(set(outcome.out.split())) == 1
    assert [bool(record.get("new")) for record in outcome.wrote.of_kind("p", "closed")] == [
        True,
        False,
        False,
    ]


def test_without_a_token_a_merge_ends_the_run(work: Workspace) -> None:
    """The customer's clients send no token: after their `coverage combine`, the next replay reports all lines again."""
    outcome = work.run(
        DRIVER
        + """
import subprocess, sys
with playtrace_agent.trace("p"):
    for _ in range(300):
        work.both()
subprocess.run([sys.executable, "-m", "coverage", "combine", "--data-file", data + "/merged", *shards()],
               check=True, stdout=subprocess.DEVNULL, env={**os.environ, "ENABLE_PROFILE_COVERAGE": ""})
assert not shards()
with playtrace_agent.trace("p"):
    work.second()
"""
    )
    assert outcome.wrote.lines("p", "work.py") == [6]
    merged = coverage.CoverageData(str(work.data / "merged"))
    merged.read()
    assert sorted(merged.lines("work.py") or []) == [2, 6, 10]
    merged.close(force=True)


def test_coverage_py_reports_on_a_shard(work: Workspace) -> None:
    outcome = work.run(DRIVER + "with playtrace_agent.trace('p'):\n    work.first()\n")
    [shard] = outcome.wrote.shards("p")
    assert shard.name.startswith("p.coverage.")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "coverage",
            "report",
            "--data-file",
            str(shard),
            "--format",
            "total",
            "--rcfile",
            "coverage.profile-playback.ini",
        ],
        cwd=work.app,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "17"


def test_the_hash_of_each_file_is_noted_before_its_lines(work: Workspace) -> None:
    import hashlib

    outcome = work.run(DRIVER + "with playtrace_agent.trace('p'):\n    work.first()\n")
    kinds = [record["t"] for record in outcome.wrote.records("p")]
    assert kinds == ["boot", "open", "source", "closed"]
    [source] = outcome.wrote.of_kind("p", "source")
    content = (work.app / "work.py").read_bytes()
    assert (source["path"], source["hash"]) == ("work.py", hashlib.sha256(content).hexdigest())


def test_a_directory_that_cannot_be_written_switches_off(work: Workspace) -> None:
    work.data.write_text("a file, where the directory should be")
    outcome = work.run(
        """
        import logging, work, playtrace_agent.wsgi

        logging.basicConfig(level=logging.WARNING)

        def app(environ, start_response):
            start_response("200 OK", [])
            return [str(work.both()).encode()]

        traced = playtrace_agent.wsgi.TraceMiddleware(app)
        for n in range(3):
            for run in ({}, {"HTTP_X_PROFILE_TRACE_RUN": "r"}):
                headers = []
                environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": "p", **run}
                body = traced(environ, lambda status, more: headers.extend(more))
                assert body == [b"3"]
                print(dict(headers)["X-Profile-Trace-Status"])
        """
    )
    lines = outcome.out.splitlines()
    assert all(line.startswith("off; ") and str(work.data) in line for line in lines), lines
    # Once when the process starts, once for each run.
    assert outcome.err.count("WARNING") == 3, outcome.err


def test_a_full_disk_switches_the_run_off_and_says_so(work: Workspace) -> None:
    outcome = work.run(
        """
        import logging, resource, signal, work, playtrace_agent.wsgi

        logging.basicConfig(level=logging.WARNING)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        def app(environ, start_response):
            start_response("200 OK", [])
            return [str(work.both()).encode()]

        traced = playtrace_agent.wsgi.TraceMiddleware(app)

        def request():
            headers = []
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": "p",
                       "HTTP_X_PROFILE_TRACE_RUN": "r"}
            assert traced(environ, lambda status, more: headers.extend(more)) == [b"3"]
            return dict(headers)["X-Profile-Trace-Status"]

        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        print(request())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(request())
        """
    )
    first, second = outcome.out.splitlines()
    assert first == "on"
    assert second.startswith("off; switched off in this process: can't")
    [lost] = outcome.wrote.of_kind("p", "lost", "r")
    assert "can't" in lost["reason"]
    assert outcome.err.count("data may be incomplete") == 1
