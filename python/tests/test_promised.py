"""A unit's beginning is in the memory map before the app is called, and in the ledger with the process's next record.

However the process comes to its end in between, the verdict names the unit, also where no player says what was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import CLIENT, DRIVER, Judged, judge
from scenario import opened_in

if TYPE_CHECKING:
    from conftest import Workspace

APP = """
    import ctypes
    import os
    import signal
    import sys
    import threading


    def whole():
        return 1


    def killed():
        os.kill(os.getpid(), signal.SIGKILL)


    def exits():
        os._exit(3)


    def replaced():
        # By C code, of which no hook of Python's knows.
        argv = [sys.executable.encode(), b"-c", b"import playtrace_agent", None]
        execv = ctypes.CDLL(None).execv
        execv(argv[0], (ctypes.c_char_p * len(argv))(*argv))


    def traced_again():
        code = "import playtrace_agent, flow\\nwith playtrace_agent.trace('p', 'r'): flow.whole()"
        argv = [sys.executable.encode(), b"-c", code.encode(), None]
        execv = ctypes.CDLL(None).execv
        execv(argv[0], (ctypes.c_char_p * len(argv))(*argv))


    def beside():
        # Another request's end writes what is promised, and takes nothing back.
        one = threading.Thread(target=answer, args=("/whole",))
        one.start()
        one.join()
        killed()
"""
TWICE = DRIVER + "flow.answer = client.get\nclient.get('/whole')\nclient.get('/whole')\n"


@pytest.fixture
def flow(workspace: Workspace) -> Workspace:
    workspace.write("flow.py", APP)
    workspace.write("late.py", "def news():\n    return 2\n")
    workspace.write("driver_client.py", CLIENT)
    return workspace


def cut(flow: Workspace, how: str) -> Judged:
    """Answer two requests, and a third one that ends the process."""
    flow.run(f"{TWICE}client.get('/{how}')\n", check=False, warnings="ignore")
    return judge(flow, None)


def ledger(flow: Workspace) -> bytes:
    [path] = (flow.data / ".playtrace" / "p" / "r").glob("*.ledger")
    return path.read_bytes()


@pytest.mark.parametrize("how", ["killed", "exits", "replaced", "traced_again", "beside"])
def test_a_request_that_ends_its_process_is_named(flow: Workspace, how: str) -> None:
    judged = cut(flow, how)
    assert judged.status == "partial"
    assert judged.names("in the middle of", f"GET /{how}"), judged
    assert len([reason for reason in judged.reasons if f"GET /{how}" in reason]) == 1, judged


def test_only_the_map_tells_of_one_that_was_killed(flow: Workspace) -> None:
    """What the other tests rest on: its promise is not in the ledger."""
    flow.run(f"{DRIVER}client.get('/whole')\nclient.get('/killed')\n", check=False)
    assert ledger(flow).count(b'"t":"open"') == 1
    [path] = (flow.data / ".playtrace" / "p" / "r").glob("*.lines")
    [opened] = opened_in(path)
    assert b"GET /killed" in opened


def test_what_is_promised_is_written_once(flow: Workspace) -> None:
    flow.run(TWICE)
    assert ledger(flow).count(b'"t":"open"') == ledger(flow).count(b'"t":"closed"') == 2
    [path] = (flow.data / ".playtrace" / "p" / "r").glob("*.lines")
    assert opened_in(path) == []
    assert judge(flow, ["on", "on"]).status == "complete"


def test_a_ledger_that_is_cut_off_meanwhile_has_no_unit_twice(flow: Workspace) -> None:
    """It is begun again by the unit's end: the unit must not stay open in what lies before."""
    flow.run(
        """
        import glob, os
        import flow
        from driver_client import Client


        def app(environ, start_response):
            start_response("200 OK", [])
            flow.whole()
            if environ["PATH_INFO"] == "/second":
                [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/p/r/*.ledger")
                os.truncate(path, os.stat(path).st_size - 9)
                import late
                late.news()
            return []


        client = Client(app)
        client.get("/first")
        client.get("/second")
        """
    )
    judged = judge(flow, ["on", "on"])
    assert judged.status == "partial"
    assert judged.names("the ledger was taken away or cut off")
    # What was cut off was the first one's end.
    assert judged.names("in the middle of step 1"), judged
    assert not judged.names("in the middle of step 2"), judged


def test_where_no_map_can_be_had_it_is_written_at_once(flow: Workspace) -> None:
    flow.run(
        """
        import glob, os
        import flow
        from driver_client import Client


        def app(environ, start_response):
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/second":
                [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/p/r/*.ledger")
                assert open(path).read().count('"t":"open"') == 2
            return []


        client = Client(app)
        client.get("/first")
        [path] = glob.glob(os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/p/r/*.ledger")
        # A directory lies where the map would.
        os.remove(path.replace(".ledger", ".lines")) if os.path.exists(path.replace(".ledger", ".lines")) else None
        os.mkdir(path.replace(".ledger", ".lines"))
        client.get("/second")
        os.rmdir(path.replace(".ledger", ".lines"))
        """
    )
    assert judge(flow, ["on", "on"]).status == "complete"
