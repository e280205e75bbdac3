"""A process is killed in the middle of a step: what the step had entered is known all the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import coverage
import pytest
from judged import CLIENT, DRIVER, judge

if TYPE_CHECKING:
    from conftest import Workspace

APP = """
    import os
    import signal
    import threading


    def whole():
        return shared()


    def shared():
        return 1


    def threaded():
        return shared()


    def cut():
        one = threading.Thread(target=threaded)
        one.start()
        one.join()
        kill()


    def kill():
        os.kill(os.getpid(), signal.SIGKILL)


    def forks():
        pid = os.fork()
        if pid == 0:
            kill()
        os.waitpid(pid, 0)
"""
WHOLE, SHARED, THREADED, CUT, KILL, FORKS = 6, 10, 14, 18, 25, 29


@pytest.fixture
def flow(workspace: Workspace) -> Workspace:
    workspace.write("flow.py", APP)
    workspace.write("driver_client.py", CLIENT)
    return workspace


def functions(workspace: Workspace) -> dict[str, list[int]]:
    """Return what each step entered, as it stands beside the merged data."""
    document = json.loads((workspace.data / "p.steps.json").read_text())
    return {step["scope"]: step["functions"].get("flow.py", []) for step in document["steps"]}


def merged(workspace: Workspace) -> dict[str, list[int]]:
    """Return the merged lines by context; nothing else may be there."""
    data = coverage.CoverageData(str(workspace.data / "p.coverage"))
    data.read()
    found = {}
    for context in data.measured_contexts():
        data.set_query_context(context)
        found[context] = sorted(data.lines(str(workspace.app / "flow.py")) or data.lines("flow.py") or [])
    data.close(force=True)
    return {context: lines for context, lines in found.items() if lines}


def test_a_request_that_is_killed_has_entered_what_it_entered(flow: Workspace) -> None:
    outcome = flow.run(DRIVER + 'client.get("/whole")\nclient.get("/cut")\n', check=False)
    assert outcome.code == -9
    judged = judge(flow, ["on", None])
    assert functions(flow) == {"1": [WHOLE, SHARED], "2": [SHARED, THREADED, CUT, KILL]}
    # A first line is a `def`, which no step executed.
    assert merged(flow) == {"profile:p": [7, 11, 15, 19, 20, 21, 22, 26]}
    # The end of the thread brought to disk what came before.
    assert any(note.startswith("1 function that web process ") for note in judged.notes), judged.notes
    assert any("3 lines that web process " in note for note in judged.notes), judged.notes


def test_a_forked_child_that_is_killed_has_entered_it_for_its_step(flow: Workspace) -> None:
    flow.run(DRIVER + 'client.get("/forks")\nclient.get("/whole")\n', warnings="ignore")
    judge(flow, ["on", "on"])
    assert functions(flow) == {"1": [KILL, FORKS], "2": [WHOLE, SHARED]}


def test_what_is_killed_is_told_apart_from_what_runs_beside_it(flow: Workspace) -> None:
    """Eight requests of one run are under way, and each has entered something else."""
    flow.write("many.py", "\n".join(f"def f{number}():\n    return {number}\n" for number in range(9)))
    outcome = flow.run(
        """
        import os, signal, threading, many
        from driver_client import Client

        everyone = threading.Barrier(9)


        def app(environ, start_response):
            start_response("200 OK", [])
            getattr(many, environ["PATH_INFO"].strip("/"))()
            everyone.wait()
            threading.Event().wait()


        client = Client(app)
        lock = threading.Lock()
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=client.get, args=(f"/f{number}",)))
            threads[-1].start()
            # Its step is the number of the answers that are awaited.
            while len(client.statuses) <= number:
                pass
        everyone.wait()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        check=False,
    )
    assert outcome.code == -9
    judge(flow, [None] * 8)
    document = json.loads((flow.data / "p.steps.json").read_text())
    found = {step["scope"]: step["functions"] for step in document["steps"]}
    assert found == {str(number + 1): {"many.py": [3 * number + 1]} for number in range(8)}


def test_with_contexts_of_their_own_requests_keep_lines(flow: Workspace) -> None:
    env = {"PROFILE_COVERAGE_GRANULARITY": "request"}
    flow.run(DRIVER + 'client.get("/whole")\nclient.get("/cut")\n', env=env, check=False)
    judge(flow, ["on", None])
    assert merged(flow) == {"profile:p:1": [7, 11], "profile:p:2": [11, 15, 19, 20, 21, 22, 26]}
    assert not (flow.data / "p.steps.json").exists()
