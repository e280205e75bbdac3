"""Limits: past one nothing new is traced, the log says so once, and the verdict says that it was not traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, judge, logged, statuses

if TYPE_CHECKING:
    from conftest import Workspace
    from scenario import Outcome

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    number = int(environ["PATH_INFO"][1:] or 0)
    return [(a, b)[number % 2](environ)]


def a(environ):
    return b"a"


def b(environ):
    return b"b"
"""


@pytest.fixture
def limited(workspace: Workspace) -> Workspace:
    workspace.write("app.py", APP)
    workspace.write("driver_client.py", CLIENT)
    return workspace


def run(work: Workspace, body: str, **env: str) -> Outcome:
    """Run a driver with limits; each is without its prefix."""
    begin = "import driver_client\nimport app\nclient = driver_client.Client(app.app)\n"
    driver = f"{begin}{body}client.done()\n"
    return work.run(driver, env={f"PROFILE_COVERAGE_{name}": value for name, value in env.items()})


def check(work: Workspace, outcome: Outcome, setting: str, traced: int) -> None:
    """Find so many answers that say that they were traced, one line in the log, and the reason in the verdict, once."""
    answers = statuses(outcome)
    on, off = answers[:traced], answers[traced:]
    assert set(on) <= {"on"}, answers
    assert off, answers
    assert all("PT-AGENT-007" in str(answer) and f"({setting}=" in str(answer) for answer in off), off
    [line] = logged(outcome)
    assert line.startswith("LOG WARNING not traced: GET /")
    assert setting in line
    judged = judge(work, answers)
    assert judged.status == "partial", judged
    # What the process says, and what the player was told.
    [said] = [reason for reason in judged.reasons if "(said by" in reason]
    assert said.startswith("not traced: ")
    assert f"({setting}=" in said
    told = [reason for reason in judged.reasons if reason.startswith("not traced: step ")]
    assert len(told) == len(off)
    assert len(judged.reasons) == 1 + len(off), judged.reasons


def test_the_size_of_the_ledger(limited: Workspace) -> None:
    body = "while client.statuses.count('on') == len(client.statuses):\n    client.get('/1')\nclient.get()\n"
    outcome = run(limited, body, MAX_LEDGER="3kB")
    check(limited, outcome, "PROFILE_COVERAGE_MAX_LEDGER", len(statuses(outcome)) - 2)
    assert len(statuses(outcome)) > 5


def test_the_size_of_the_shard(limited: Workspace) -> None:
    """What was let in is written, also where it is more than the limit."""
    outcome = run(limited, "for n in range(3): client.get('/1')\nclient.get('/2')\n", MAX_SHARD="1kB")
    text = APP.lstrip("\n").splitlines()
    [shard] = limited.look().shards("p")
    assert shard.stat().st_size > 1000
    lines = limited.look().lines("p", "app.py")
    assert text.index('    return b"b"') + 1 in lines
    assert text.index('    return b"a"') + 1 not in lines
    check(limited, outcome, "PROFILE_COVERAGE_MAX_SHARD", 1)


def test_a_shard_that_grows_past_its_size(limited: Workspace) -> None:
    """Without a run's token each request's lines are in the shard when it is over."""
    # Many, and none very long: of a code object's line, CPython finds the number by going through all before it.
    for number in range(16):
        limited.write(f"long{number}.py", "x = 1\n" * 5_000)
    run(limited, "client.get('/1', slug='small', run=None)\n")
    [small] = limited.look().shards("small")
    body = """
client.get("/1", run=None)
load = lambda: [bytes(sum(__import__(f"long{n}").x for n in range(16)))]
client.app.app = lambda environ, start: (start("200 OK", []), load())[1]
client.get("/1", run=None)
client.get("/1", run=None)
"""
    answers = statuses(run(limited, body, MAX_SHARD=str(small.stat().st_size + 1)))
    assert [str(answer)[:3] for answer in answers] == ["on", "on", "off"], answers


def test_what_was_taken_away_is_not_full_any_more(limited: Workspace) -> None:
    """Merged, say. The process has not written since, because it may not."""
    body = """
import os, pathlib, shutil
data = pathlib.Path(os.environ["PROFILE_COVERAGE_DIR"])
client.get("/1", run=RUN)
while client.statuses[-1] == "on":
    client.get("/1", run=RUN)
TAKE
client.get("/1", run=RUN)
"""
    for run_token in ("'r'", "None"):
        shard = "[path.unlink() for path in data.glob('p.coverage.*')]"
        ledger = "shutil.rmtree(data / '.playtrace')"
        for take, limit in ((shard, {"MAX_SHARD": "1kB"}), (ledger, {"MAX_LEDGER": "2kB"})):
            outcome = run(limited, body.replace("RUN", run_token).replace("TAKE", take), **limit)
            *_, full, again = statuses(outcome)
            assert (str(full)[:3], again) == ("off", "on"), statuses(outcome)


def test_contexts(limited: Workspace) -> None:
    """A run has two for itself, each request one more until its body is closed."""
    body = """
client.app.app = lambda environ, start: (start("200 OK", []), iter([app.a(1)]))[1]
bodies = []
def begin(step):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_PROFILE_TRACE": "p", "HTTP_X_PROFILE_TRACE_RUN": "r",
               "HTTP_X_PROFILE_TRACE_STEP": str(step)}
    bodies.append(client.app(environ, start))
def start(status, headers):
    client.statuses.append(dict(headers)["X-Profile-Trace-Status"])
for step in range(1, 7):
    begin(step)
for body in bodies:
    list(body), getattr(body, "close", list)()
"""
    check(limited, run(limited, body, MAX_CONTEXTS="5"), "PROFILE_COVERAGE_MAX_CONTEXTS", 3)


def test_the_number_of_runs(limited: Workspace) -> None:
    """Whoever makes up names leaves no file for them. Runs that there are go on, jobs of theirs included."""
    outcome = run(
        limited,
        "for n in range(200): client.get('/1', run=f'r{n}')\nfor n in range(3): client.get('/2', run=f'r{n}')\n"
        "for n in range(50): client.get('/2', slug=f'p{n}')\n",
        MAX_RUNS="3",
    )
    answers = statuses(outcome)
    assert answers[:3] + answers[200:203] == ["on"] * 6
    assert all("PROFILE_COVERAGE_MAX_RUNS=3" in str(answer) for answer in answers[3:200] + answers[203:])
    assert len(logged(outcome)) == 1
    assert sorted(path.name for path in (limited.data / ".playtrace").iterdir()) == [".boot", "p"]
    assert sorted(path.name for path in (limited.data / ".playtrace" / "p").iterdir()) == ["r0", "r1", "r2"]
    # The player's own records are there: it was told.
    judged = judge(limited, ["on", answers[3]], run="r0")
    assert judged.names("not traced: step 2", "PROFILE_COVERAGE_MAX_RUNS=3")


def test_blocks_of_made_up_names_leave_nothing_either(limited: Workspace) -> None:
    body = """
import playtrace_agent, sys
for n in range(50):
    with playtrace_agent.trace(f"p{n}", "r"):
        app.a(n)
assert not n or playtrace_agent.current_slug() is None
"""
    outcome = run(limited, body, MAX_RUNS="2")
    assert sorted(path.name for path in (limited.data / ".playtrace").iterdir()) == [".boot", "p0", "p1"]
    assert len(logged(outcome)) == 48, "once for each run"


def test_where_there_is_no_room_nothing_is_listened_to(limited: Workspace) -> None:
    body = """
import sys
client.get()
assert sys.monitoring.get_tool(3) is None and sys.monitoring.get_tool(4) is None
"""
    run(limited, body, MIN_FREE="1000000GB")


def test_the_number_of_files(limited: Workspace) -> None:
    outcome = run(limited, "for n in range(20): client.get('/1', run=f'r{n}')\n", MAX_FILES="10")
    answers = statuses(outcome)
    on = answers.count("on")
    assert answers[:on] == ["on"] * on
    assert all("PROFILE_COVERAGE_MAX_FILES=10" in str(answer) for answer in answers[on:])
    files = [path for path in limited.data.rglob("*") if path.is_file() and ".boot" not in path.parts]
    assert 3 <= len(files) <= 12, files


def test_the_disk_is_kept_free(limited: Workspace) -> None:
    outcome = run(limited, "client.get()\nclient.get()\n", MIN_FREE="1000000GB")
    assert not limited.look().shards()
    answers = statuses(outcome)
    assert all("PROFILE_COVERAGE_MIN_FREE" in str(answer) for answer in answers)
    assert len(logged(outcome)) == 1
    assert not (limited.data / ".playtrace" / "p").exists()


def test_that_the_disk_is_kept_free_is_in_the_verdict(limited: Workspace) -> None:
    """The player sees the directory, and has begun its run there."""
    (limited.data / ".playtrace" / "p" / "r").mkdir(parents=True)
    outcome = run(limited, "client.get()\nclient.get()\n", MIN_FREE="1000000GB")
    check(limited, outcome, "PROFILE_COVERAGE_MIN_FREE", 0)


def test_0_is_no_limit(limited: Workspace) -> None:
    none = dict.fromkeys(("MAX_CONTEXTS", "MAX_RUNS", "MAX_FILES", "MAX_SHARD", "MAX_LEDGER", "MIN_FREE"), "0")
    outcome = run(limited, "for n in range(9): client.get()\n", **none)
    assert statuses(outcome) == ["on"] * 9
    assert logged(outcome) == []


def test_a_job_and_a_child_of_a_run_that_was_let_in_are_not_kept_out_by_its_number(limited: Workspace) -> None:
    outcome = run(
        limited,
        """
import subprocess, sys
inner = client.app.app
def starts(environ, start):
    subprocess.run([sys.executable, "-c", "import app; app.a(1)"], check=True)
    return inner(environ, start)
client.app.app = starts
client.get("/1")
""",
        MAX_RUNS="1",
        MAX_FILES="2",
    )
    assert statuses(outcome) == ["on"]
    text = APP.lstrip("\n").splitlines()
    assert text.index('    return b"a"') + 1 in limited.look().lines("p", "app.py")
    judged = judge(limited, ["on"])
    assert judged.status == "complete", judged
