"""Always on: real servers and jobs, and what the program makes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from asgi_harness import HARNESS
from judged import judge
from serving import App, get, serving
from traffic import ALWAYS, entered, shards

if TYPE_CHECKING:

    from conftest import Workspace

FLASK = App(
    """
import os
from flask import Flask

application = Flask(__name__)


@application.get("/work/<name>")
def work(name):
    return TASKS[name]()


def pid():
    return str(os.getpid())


def real():
    return "real"


def both():
    return "both"


def profiled():
    return "profiled"


def neither():
    return "neither"


@application.get("/never")
@application.get("/never/again")
def never():
    return "never"


TASKS = {"pid": pid, "real": real, "both": both, "profiled": profiled, "nobody": str}
""",
    (),
    "import playtrace_agent.flask\nplaytrace_agent.flask.init_app(application)\n",
)


def gunicorn(*options: str) -> list[str]:
    """Return a command that serves the app with two workers."""
    return [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", *options, "app:application"]


@pytest.mark.parametrize(("options", "count"), [((), 2), (("--preload",), 1)])
def test_flask_under_gunicorn(workspace: Workspace, options: tuple[str, ...], count: int) -> None:
    workspace.write("app.py", FLASK.text + FLASK.wrap)
    with serving(workspace, gunicorn(*options), end=signal.SIGTERM, env=ALWAYS) as url:
        pids: set[str] = set()
        while len(pids) < 2:
            pids.add(get(url + "/work/pid")[0])
        for name in ("real", "both"):
            get(f"{url}/work/{name}")
        for name in ("profiled", "both"):
            assert get(f"{url}/work/{name}", X_Profile_Trace="p")[1] == "on"
    assert entered(workspace) == {"work", "pid", "real", "both"}
    assert len(shards(workspace)) == count, "one for each process that the agent was switched on in"


def test_asgi_requests_at_once(workspace: Workspace) -> None:
    workspace.write(
        "app.py",
        """
        import asyncio


        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                return starting()
            await asyncio.sleep(0)
            await globals()[scope["path"][1:]]()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})


        def starting():
            pass


        async def mine():
            for n in range(20):
                await asyncio.sleep(0)
                of_mine()


        def of_mine():
            return 1


        async def yours():
            for n in range(20):
                await asyncio.sleep(0)
                of_yours()
            asyncio.create_task(later())


        def of_yours():
            return 1


        async def later():
            return 1
        """,
    )
    outcome = workspace.run(
        HARNESS
        + """
async def main():
    target = trace(app.application)
    await call(target, kind="lifespan")
    await asyncio.gather(*(call(target, slug, path=path) for path, slug in [
        ("/mine", None), ("/yours", "p"), ("/mine", None), ("/yours", "p")]))
    await asyncio.sleep(0.01)

asyncio.run(main())
""",
        env=ALWAYS,
    )
    assert entered(workspace) == {"application", "mine", "of_mine"}
    assert outcome.wrote.lines("p", "app.py")


def playtrace(workspace: Workspace, *arguments: str) -> str:
    """Run the program beside the app; what it says."""
    program = os.environ.get("PLAYTRACE_TEST_PROGRAM")
    if not program:
        pytest.fail("PLAYTRACE_TEST_PROGRAM must name playtrace", pytrace=False)
    environment = {**workspace.environment(), "PLAYTRACE_PYTHON_VERSION": f"3.{sys.version_info[1]}"}
    result = subprocess.run(
        [program, *arguments], cwd=workspace.root, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
    return result.stdout


def test_the_gaps_say_what_real_traffic_runs_and_no_profile_does(workspace: Workspace) -> None:
    workspace.write("app.py", FLASK.text + FLASK.wrap)
    workspace.run(
        """
        from app import application
        from playtrace_agent import _native
        DAY = 24 * 60 * 60 * 1000
        client = application.test_client()
        for name in ("profiled", "both"):
            client.get(f"/work/{name}", headers={"X-Profile-Trace": "p", "X-Profile-Trace-Run": "r"})
        for day in (20000, 20001):
            _native.pretend(day * DAY)
            client.get("/work/real")
            client.get("/work/both")
        _native.pretend(20002 * DAY)
        client.get("/work/both")
        """,
        env=ALWAYS,
    )
    judge(workspace, None)
    playtrace(workspace, "index", "build", "app", "--output", "out/coverage-symbols.json")
    playtrace(workspace, "report", "--format", "json")
    said = playtrace(workspace, "matrix")
    assert "symbols that real traffic runs and no profile does: 1\n" in said
    assert "real traffic: recorded since 2024-10-04, on 3 days, in 1 process\n" in said
    out = workspace.root / "out"
    gaps = (out / "gaps.txt").read_text().splitlines()
    assert gaps[-6:] == [
        "# real traffic: recorded since 2024-10-04, on 3 days, in 1 process",
        "# real traffic by route comes from samples of its requests: what is not listed for a route was not seen in "
        "these, and may run by it all the same",
        "app.py:16 app.real (real traffic runs it by GET /work/<name>, no profile does: since 2024-10-04, on 2 days, "
        "in 1 process)",
        "app.py:12 app.pid",
        "app.py:28 app.neither",
        "app.py:34 app.never",
    ]
    matrix = json.loads((out / "matrix.json").read_text())
    assert matrix["gaps"]["traffic"] == {"since": "2024-10-04", "until": "2024-10-06", "days": 3, "processes": 1}
    assert [gap.get("traffic") for gap in matrix["gaps"]["symbols"]] == [
        {"since": "2024-10-04", "until": "2024-10-05", "days": 2, "processes": 1},
        *[None] * 3,
    ]
    assert [gap.get("traffic_routes") for gap in matrix["gaps"]["symbols"]] == [["GET /work/<name>"], *[None] * 3]
    assert matrix["traffic_routes"] == {
        "GET /work/<name>": {
            **matrix["gaps"]["traffic"],
            "symbols": ["app.both", "app.real", "app.work"],
            "gaps": ["app.real"],
        }
    }
    schema = json.loads((Path(__file__).parents[2] / "docs/schema/matrix.schema.json").read_text())
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(matrix, schema)
    markdown = (out / "matrix.md").read_text()
    assert "`app.py`: `app.real`, lines 16-17, since 2024-10-04" in markdown
    assert "| `GET /work/<name>` | since 2024-10-04, on 3 days, in 1 process | 3 | 1 |" in markdown
    assert markdown.count("may run by it all the same") == 2
    # A night's bundle has it, and the next one's has it still when the shards are gone.
    bundled = []
    for night in ("2024-10-10", "2024-10-11"):
        options = ("--night", night, "--output-dir", "nights", "--source", "app", "--json")
        manifest = json.loads(playtrace(workspace, "aggregate", str(workspace.data), *options))
        bundled.append((manifest["files"]["traffic.json"], manifest.get("notes")))
        if night == "2024-10-10":
            (workspace.data / "anyone").rename(workspace.root / "anyone")
    assert bundled[0] == bundled[1]
    (workspace.root / "anyone").rename(workspace.data / "anyone")
    # Another source says nothing of this one's lines.
    (workspace.app / "app.py").write_text("# moved\n" + (workspace.app / "app.py").read_text())
    playtrace(workspace, "index", "build", "app", "--output", "out/coverage-symbols.json")
    said = playtrace(workspace, "matrix")
    assert "symbols that real traffic runs and no profile does: 0\n" in said
    assert "app.py: on 3 days real traffic ran another version of it" in said
    # What lies there is listed, and goes when it is old.
    listed = playtrace(workspace, "shards")
    assert listed.count("\nanyone   2024-10-0") == 3
    assert "3 of real traffic" in listed
    of_day = playtrace(workspace, "shards", str(workspace.data / "anyone" / "2024-10-04"))
    assert " 0 orphans" in of_day
    assert "1 of real traffic" in of_day
    assert len(shards(workspace)) == 3
    playtrace(workspace, "prune", "--older-than", "1d", "--now", "2124-10-05T00:00:00Z")
    assert not shards(workspace)
    assert not list((workspace.data / "anyone").iterdir())
