"""Signals, ends, subinterpreters, and other people's patches: the process behaves as it would without the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from judged import judge
from twice import WORK, lines, twice

if TYPE_CHECKING:
    from conftest import Workspace


def test_signals_and_exits_in_traced_code(workspace: Workspace) -> None:
    outcome = twice(
        workspace,
        """
        def alarm(number, frame):
            raise TimeoutError("alarm")

        signal.signal(signal.SIGALRM, alarm)
        for n in range(10):
            try:
                with playtrace_agent.trace("p"):
                    signal.setitimer(signal.ITIMER_REAL, 0.002)
                    while True:
                        work.plain(n)
            except TimeoutError as error:
                print(error)

        def interrupted():
            with playtrace_agent.trace("p"):
                signal.raise_signal(signal.SIGINT)

        def exits():
            with playtrace_agent.trace("p"):
                sys.exit(3)

        def stopped():
            with playtrace_agent.trace("p"):
                try:
                    yield 1
                except GeneratorExit:
                    print("stopped")
                    raise

        caught(interrupted)
        caught(exits)
        iterator = stopped()
        next(iterator)
        iterator.close()
        print(playtrace_agent.current_slug())
        """,
    )
    assert outcome.wrote.unclosed("p") == []


def test_what_a_handler_raises_while_the_agent_is_at_it_reaches_the_app(workspace: Workspace) -> None:
    """RQ's timeout is an exception of its own, raised by a signal's handler, once."""
    outcome = workspace.run(
        """
        import shutil, signal, subprocess
        import playtrace_agent
        from playtrace_agent.wsgi import TraceMiddleware


        class TimedOut(Exception):
            pass


        def time_is_up(*_):
            raise TimedOut


        def interrupted(*_args, **_kwargs):
            signal.raise_signal(signal.SIGALRM)


        def seen(work):
            try:
                work()
            except TimedOut:
                return True
            return False


        signal.signal(signal.SIGALRM, time_is_up)
        app = TraceMiddleware(lambda environ, start: [], refusal=interrupted)
        print(seen(lambda: app({"HTTP_X_PROFILE_TRACE": "p"}, None)))
        # What finds out whether a child is Python.
        shutil.which = interrupted
        with playtrace_agent.trace("p"):
            print(seen(lambda: subprocess.Popen(["true"]).wait()))
        """
    )
    assert outcome.out.split() == ["True", "True"]


@pytest.mark.parametrize("what", ["nested", "submit", "callback", "thread", "popen", "say"])
def test_an_exception_at_the_worst_moment_leaves_the_rest_of_the_work_traced(workspace: Workspace, what: str) -> None:
    """A signal's handler may raise wherever a call returns or a function begins: here, at each such place of ours."""
    outcome = workspace.run(
        """
        import logging, subprocess, sys, threading
        import playtrace_agent
        from playtrace_agent import processes, runtime, thread_pools
        from concurrent.futures import Future, ThreadPoolExecutor

        class Interrupt(BaseException):
            pass

        def nested():
            with playtrace_agent.trace("q", "r"):
                pass

        def submit():
            with ThreadPoolExecutor(1) as pool:
                pool.submit(int)

        def callback():
            Future().add_done_callback(print)

        def thread():
            threading.Thread(target=int).start()

        def popen():
            subprocess.Popen(["true"]).wait()

        def say():
            runtime.say(logging.INFO, "a message")

        def interrupting(at):
            places = iter(range(at))
            def look(frame, event, _arg):
                ours = "playtrace_agent" in frame.f_code.co_filename or "contextlib" in frame.f_code.co_filename
                if ours and event in ("call", "c_return") and next(places, None) is None:
                    raise Interrupt
            return look

        def interrupted(at):
            sys.setprofile(interrupting(at))
            try:
                WORK()
            except Interrupt:
                return True
            finally:
                sys.setprofile(None)
            return False

        with playtrace_agent.trace("q", "r"):
            pass
        with playtrace_agent.trace("p", "r"):
            WORK()
            at, wrong = 0, []
            while interrupted(at):
                found = playtrace_agent.current_slug(), processes.by_subprocess.get(), thread_pools.submitting.get()
                if found != ("p", False, None):
                    wrong.append((at, found))
                    break
                at += 1
        assert playtrace_agent.current_slug() is None
        assert at >= 2 or wrong, at
        print(wrong)
        """.replace("WORK", what),
        warnings="ignore",  # processes that were started and not waited for
    )
    assert outcome.out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(7)", 7), ("raise KeyboardInterrupt", -2), ("raise ValueError('end')", 1), ("os._exit(5)", 5)],
)
def test_the_end_of_the_process_goes_its_way(workspace: Workspace, end: str, code: int) -> None:
    # `os._exit` waits for nobody: whether that thread prints is chance then.
    late = "pass" if "_exit" in end else 'print("not a daemon", flush=True)'
    twice(
        workspace,
        f"""
        atexit.register(print, "registered before")
        # Daemons that are at it when the interpreter goes down.
        def for_ever():
            while True:
                work.plain(1)

        def at_last():
            try:
                # The agent's own handler may have run, or not.
                with playtrace_agent.trace("p"):
                    print("registered within", work.plain(1))
            except BaseException:
                traceback.print_exc()

        with playtrace_agent.trace("p"):
            atexit.register(at_last)
            for _ in range(3):
                threading.Thread(target=for_ever, daemon=True).start()
            def not_a_daemon():
                time.sleep(0.05)
                {late}

            threading.Thread(target=not_a_daemon).start()
            pool = ThreadPoolExecutor(2)
            pool.submit(time.sleep, 0.02)
            threading.Timer(0.01, work.plain, (1,)).start()
            sys.stdout.flush()
            {end}
        """,
        code=code,
    )


def test_the_collector_the_directory_and_the_fault_handler(workspace: Workspace) -> None:
    workspace.write("elsewhere/tool.py", "import os\nprint(os.getcwd())\n")
    outcome = twice(
        workspace,
        """
        home = os.getcwd()
        gc.freeze()
        with playtrace_agent.trace("p"):
            work.plain(1)
            gc.freeze()
            os.chdir("/")
            subprocess.run([sys.executable, home + "/elsewhere/tool.py"], check=True)
            caught(work.fails)
            faulthandler.enable()
            faulthandler.dump_traceback_later(100)
            with open(home + "/dumped", "w+") as file:
                faulthandler.dump_traceback(file)
                file.seek(0)
                print(file.read().partition("\\n")[2])
            faulthandler.cancel_dump_traceback_later()
        gc.unfreeze()
        with playtrace_agent.trace("p"):
            print(work.plain(2), os.getcwd())
        """,
        traced=[*lines("plain"), *lines("fails")],
    )
    # Written where the process was when it began, named from there.
    assert outcome.wrote.lines("p", "elsewhere/tool.py") == [1, 2]


SUBINTERPRETER = """
import {module} as interpreters
with playtrace_agent.trace("p"):
    work.plain(1)
    for _ in range(3):
        other = interpreters.create()
        print(interpreters.run_string(other, "import sys, work; sys.path, work.plain(1), [n for n in range(9)]"))
        print(interpreters.run_string(other, {within!r}))
        interpreters.destroy(other)
    caught(work.fails)
"""
WITHIN = """
import logging, playtrace_agent, work
log = logging.getLogger("playtrace_agent")
log.addHandler(logging.FileHandler("refused"))
log.propagate = False
for _ in range(2):
    with playtrace_agent.trace("p"):
        work.plain(1)
"""


def test_a_subinterpreter_runs_the_app_untraced_and_says_so_once(workspace: Workspace) -> None:
    module = "_xxsubinterpreters" if _has("_xxsubinterpreters") else "_interpreters"
    if not _has(module):
        pytest.skip("this Python has no subinterpreters")
    twice(
        workspace,
        SUBINTERPRETER.format(module=module, within=WITHIN),
        traced=[*lines("plain"), *lines("fails")],
    )
    refused = (workspace.app / "refused").read_text().splitlines()
    assert len(refused) == 3
    assert all("main interpreter" in line for line in refused)


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


BEFORE = """
calls = []
start, init, submit = threading.Thread.start, subprocess.Popen.__init__, ThreadPoolExecutor.submit

def patched_start(self):
    calls.append("start")
    return start(self)

def patched_init(self, *args, **options):
    calls.append(("Popen", args, sorted(options)))
    return init(self, *args, **options)

def patched_submit(self, *args, **options):
    calls.append("submit")
    return submit(self, *args, **options)

threading.Thread.start = patched_start
subprocess.Popen.__init__ = patched_init
ThreadPoolExecutor.submit = patched_submit
"""
GO = """
from unittest import mock

class Sub(subprocess.Popen):
    def __init__(self, *args, **options):
        calls.append("Sub")
        super().__init__(*args, **options)

class Thread(threading.Thread):
    def start(self):
        calls.append("Thread")
        super().start()

with playtrace_agent.trace("p"):
    work.plain(1)
    for kind in (threading.Thread, Thread):
        thread = kind(target=work.plain, args=(1,))
        thread.start()
        thread.join()
    with ThreadPoolExecutor(1) as pool:
        print(pool.submit(work.plain, 3).result())
    environment = dict(os.environ, MARK="7")
    tool = [sys.executable, "tool.py"]
    print(subprocess.run(tool, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    print(subprocess.check_output(tool))
    every = Sub(tool, -1, None, None, subprocess.PIPE, None, None, True, False, None, environment)
    print(every.communicate())
    print(every.args, environment["MARK"], len(environment) == len(os.environ) + 1)
    with mock.patch("subprocess.Popen.__init__", return_value=None) as patched:
        subprocess.Popen(["x"])
        print(patched.call_args)
    with mock.patch.object(threading.Thread, "start", autospec=True) as patched:
        threading.Thread().start()
        print(patched.call_count)
    with mock.patch("os._exit") as patched:
        os._exit(3)
        print(patched.call_args)
    with mock.patch.dict(os.environ, {"MARK": "8"}):
        print(subprocess.check_output(tool))
"""


@pytest.mark.parametrize("patched", ["before", "after"])
def test_other_peoples_patches(workspace: Workspace, patched: str) -> None:
    """Of what the agent wraps, made before it came and after: all are called, and the work is followed."""
    workspace.write("tool.py", "import os\nprint(os.environ.get('MARK'))\n")
    first = BEFORE if patched == "before" else "with playtrace_agent.trace('p'): work.plain(1)\n" + BEFORE
    shown = "print([call if isinstance(call, str) else call[1][:1] for call in calls])\n"
    outcome = twice(workspace, first + GO + shown)
    assert outcome.wrote.lines("p", "tool.py") == [1, 2]
    spawned = [record["child"] for record in outcome.wrote.of_kind("p", "spawn")]
    joined = [str(record.get("child")) for record in outcome.wrote.of_kind("p", "open") if record["kind"] == "child"]
    assert len(spawned) == 4
    assert sorted(spawned) == sorted(joined)
    assert outcome.wrote.unclosed("p") == []


def test_a_command_that_can_be_read_once(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        class Words:
            def __init__(self):
                self.left = [sys.executable, "-c", "print('ran')"]

            def __iter__(self):
                left, self.left = self.left, None
                return iter(left)

        with playtrace_agent.trace("p"):
            work.plain(1)
            for words in (Words(), iter(Words()), map(str, Words()), (word for word in Words())):
                print(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
            print(subprocess.check_output(args=iter(["echo", "echoed"])))
        """,
    )


def test_a_child_that_cannot_be_followed_is_in_the_verdict(workspace: Workspace) -> None:
    """`subprocess` asks less of an environment than the agent does."""
    workspace.write("work.py", WORK)
    outcome = workspace.run(
        """
        import os, subprocess, sys, playtrace_agent, work

        class Environment:
            def items(self):
                return os.environ.items()

        with playtrace_agent.trace("p", "r"):
            work.plain(1)
            # In a new session: otherwise `posix_spawn` starts it from 3.13 on, which takes mappings only.
            command = [sys.executable, "-c", "print('ran')"]
            print(subprocess.check_output(command, env=Environment(), start_new_session=True))
        """
    )
    assert outcome.out == "b'ran\\n'\n"
    assert outcome.err.count("not traced: a child process") == 1
    judged = judge(workspace, None)
    assert judged.status == "partial"
    assert judged.names("data lost", "a child process", "can't be followed", "Environment"), judged.reasons
