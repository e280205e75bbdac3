"""Child processes, forks, and ends that nobody expects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from judged import judge

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace

TOOL = """
import sys

def main():
    value = len(sys.argv)
    print("args", value)

if __name__ == "__main__":
    main()
"""


def test_children_follow_however_they_are_started(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write("tool.py", TOOL)
    workspace.write("pkg/__init__.py", "IMPORTED = 1\n")
    workspace.write("pkg/__main__.py", "import pkg\nprint(pkg.IMPORTED)\n")
    script = workspace.write("entry", f"#!{sys.executable}\nimport tool\ntool.main()\n")
    script.chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    outcome = workspace.run(
        f"""
        import asyncio, os, subprocess, sys, playtrace_agent

        here = {str(workspace.app)!r}
        with playtrace_agent.trace("script", "r1"):
            subprocess.run([sys.executable, here + "/tool.py"], cwd={str(elsewhere)!r}, check=True)
        with playtrace_agent.trace("module"):
            subprocess.check_output([sys.executable, "-m", "pkg"])
        with playtrace_agent.trace("entry"):
            subprocess.run(here + "/entry", check=True)
        with playtrace_agent.trace("command"):
            subprocess.run(
                [sys.executable, "-c", "import tool; tool.main()"], env={{"PYTHONPATH": here}}, check=True
            )
        with playtrace_agent.trace("shell"):
            subprocess.run("echo hello; " + sys.executable + " " + here + "/tool.py", shell=True, check=True)
        with playtrace_agent.trace("async"):
            async def start():
                process = await asyncio.create_subprocess_exec(sys.executable, here + "/tool.py")
                await process.wait()
            asyncio.run(start())
        with playtrace_agent.trace("posix"):
            pid = os.posix_spawn(sys.executable, [sys.executable, here + "/tool.py"], {{"LANG": "C"}})
            os.waitpid(pid, 0)
        with playtrace_agent.trace("missing"):
            try:
                subprocess.run([here + "/python3"])
            except FileNotFoundError:
                pass
        assert not [name for name in os.environ if name.startswith("PROFILE_TRACE")]
        subprocess.run([sys.executable, here + "/tool.py"], check=True)
        """,
    )
    wrote = outcome.wrote
    contexts = wrote.contexts()
    for slug in ("script", "shell", "async", "posix"):
        assert contexts[f"profile:{slug}"] == {"tool.py": [1, 3, 4, 5, 7, 8]}, slug
    assert contexts["profile:module"] == {"pkg/__main__.py": [1, 2]}
    assert contexts["import"] == {"pkg/__init__.py": [1], "tool.py": [1, 3, 7]}
    # What an imported function runs is the profile's.
    assert contexts["profile:entry"] == {"entry": [2, 3], "tool.py": [4, 5]}
    assert contexts["profile:command"] == {"tool.py": [4, 5]}
    for slug, run in [("script", "r1"), *((slug, "_") for slug in ("module", "entry", "command", "async", "posix"))]:
        [spawn] = wrote.of_kind(slug, "spawn", run)
        opened = [record for record in wrote.of_kind(slug, "open", run) if record["kind"] == "child"]
        assert spawn["python"], slug
        assert [record["child"] for record in opened] == [spawn["child"]], slug
        assert wrote.unclosed(slug, run) == [], slug
        assert {record["role"] for record in wrote.of_kind(slug, "boot", run)} == {"other", "child"}
    assert [record["python"] for record in wrote.of_kind("shell", "spawn")] == [False]
    assert wrote.unclosed("shell") == []
    # The one that did not start keeps its promise by a unit of its parent's.
    [spawn] = wrote.of_kind("missing", "spawn")
    assert spawn["child"] in [record.get("child") for record in wrote.of_kind("missing", "open")]
    assert wrote.unclosed("missing") == []


def test_a_child_keeps_its_own_arguments_and_output(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p"):
            done = subprocess.run([sys.executable, "tool.py", "a"], capture_output=True, text=True)
        print(repr((done.stdout, done.stderr, done.returncode)))
        """
    )
    assert outcome.out.strip() == "('args 2\\n', '', 0)"


@pytest.mark.parametrize("granularity", ["profile", "steps", "request", "symbol"])
def test_what_runs_after_a_program_could_not_be_replaced_counts(workspace: Workspace, granularity: str) -> None:
    """The child's unit is closed before `exec`, which may fail; what the process runs then belongs to it, too."""
    workspace.write(
        "kid.py",
        """
        import os

        def instead():
            here = 1
            return here

        try:
            os.execv("/there/is/none", ["none"])
        except FileNotFoundError:
            instead()
        """,
    )
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            subprocess.run([sys.executable, "kid.py"], check=True)
        """,
        env={"PROFILE_COVERAGE_GRANULARITY": granularity},
    )
    found = {
        line
        for context, files in outcome.wrote.ledger_lines("p", "r").items()
        if context != "import"
        for line in files["kid.py"]
    }
    assert ({3} if granularity == "symbol" else {4, 5}) <= found
    promised = {record["child"] for record in outcome.wrote.of_kind("p", "spawn", "r")}
    assert promised <= {record.get("child") for record in outcome.wrote.of_kind("p", "open", "r")}
    assert outcome.wrote.unclosed("p", "r") == []


def test_a_forked_child_reports_its_own_lines_only(workspace: Workspace) -> None:
    workspace.write(
        "work.py",
        """
        def before():
            return 1

        def in_child():
            return 2

        def in_parent():
            return 3
        """,
    )
    outcome = workspace.run(
        """
        import os, work, playtrace_agent

        with playtrace_agent.trace("p"):
            for _ in range(300):
                work.before()
            pid = os.fork()
            if pid == 0:
                work.in_child()
                work.before()
                os._exit(0)
            os.waitpid(pid, 0)
            work.in_parent()
        pid = os.fork()
        if pid == 0:
            work.in_child()
            os._exit(0)
        os.waitpid(pid, 0)
        """,
        warnings="default",
    )
    shards = outcome.wrote.shards("p")
    assert len(shards) == 2
    by_process = sorted(
        tuple(record["new"]["profile:p"]["work.py"] for record in records if record.get("new"))
        for records in _by_file(outcome.wrote.of_kind("p", "closed")).values()
    )
    # Lines 2 and 5 in the child, 2 and 8 in the parent, as numbits.
    assert by_process == [("0401",), ("24",)]
    assert outcome.wrote.unclosed("p") == []
    [spawn] = outcome.wrote.of_kind("p", "spawn")
    assert spawn["command"] == "os.fork()"


def _by_file(records: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record["file"], []).append(record)
    return found


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "raise SystemExit", "pass"])
def test_every_orderly_end_writes_what_is_left(workspace: Workspace, end: str) -> None:
    workspace.write("tool.py", f"import os, sys\nx = 1\n{end}\n")
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p"):
            subprocess.run([sys.executable, "tool.py"], check=True)
        """
    )
    assert outcome.wrote.lines("p", "tool.py") == [1, 2, 3]
    assert outcome.wrote.unclosed("p") == []


def test_exec_goes_on_in_the_new_program(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    workspace.write("launcher.py", "import os, sys\nx = 1\nos.execvp(sys.executable, [sys.executable, 'tool.py'])\n")
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p"):
            subprocess.run([sys.executable, "launcher.py"], check=True)
        """
    )
    contexts = outcome.wrote.contexts()
    assert contexts["profile:p"] == {"launcher.py": [1, 2, 3], "tool.py": [1, 3, 4, 5, 7, 8]}
    assert outcome.wrote.unclosed("p") == []


def test_a_preexec_function_does_not_count_as_a_fork(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    outcome = workspace.run(
        """
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p"):
            subprocess.run([sys.executable, "tool.py"], preexec_fn=lambda: None, check=True)
        """,
        warnings="default",
    )
    assert len(outcome.wrote.of_kind("p", "spawn")) == 1
    assert outcome.wrote.unclosed("p") == []


def test_kill_nine_leaves_a_readable_shard_and_an_open_unit(workspace: Workspace) -> None:
    workspace.write("work.py", "def done():\n    return 1\n\ndef cut():\n    return 2\n")
    driver = workspace.write(
        "driver.py",
        """
        import sys, time, work, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            work.done()
        block = playtrace_agent.trace("p", "r")
        block.__enter__()
        work.cut()
        print("ready", flush=True)
        sys.stdin.read()
        """,
    )
    process = subprocess.Popen(
        [sys.executable, str(driver)],
        env=workspace.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    wrote = workspace.look()
    assert wrote.lines("p", "work.py") == [2]
    assert [record["kind"] for record in wrote.unclosed("p", "r")] == ["block"]


def test_a_child_without_the_agents_switch_is_not_touched(workspace: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print([m for m in sys.modules if 'playtrace' in m])"],
        env=workspace.environment({"ENABLE_PROFILE_COVERAGE": None, "PROFILE_TRACE_SLUG": "p"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert not workspace.data.exists()


def test_every_other_way_to_start_a_program(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    outcome = workspace.run(
        """
        import os, pty, sys, playtrace_agent

        command = sys.executable + " tool.py"
        with playtrace_agent.trace("system", "r"):
            assert os.system(command) == 0
        with playtrace_agent.trace("bytes"):
            assert os.system(f"V='a b'; {command} \\"$V\\" 'it''s'".encode()) == 0
        with playtrace_agent.trace("popen"):
            with os.popen(command) as pipe:
                assert pipe.read() == "args 1\\n"
        with playtrace_agent.trace("spawnv"):
            assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "tool.py"]) == 0
        with playtrace_agent.trace("spawnlpe"):
            assert os.spawnlpe(os.P_WAIT, sys.executable, sys.executable, "tool.py", {"A": "1"}) == 0
        with playtrace_agent.trace("pty"):
            pid, terminal = pty.fork()
            if pid == 0:
                import tool
                tool.main()
                sys.stdout.flush()
                os._exit(0)
            said = b""
            while not said.endswith(b"\\n"):
                said += os.read(terminal, 99)
            assert said == b"args 1\\r\\n", said
            os.waitpid(pid, 0)
        with playtrace_agent.trace("pty-spawn"):
            assert pty.spawn([sys.executable, "tool.py"], stdin_read=lambda fd: b"") == 0
        assert not [name for name in os.environ if name.startswith("PROFILE_TRACE")]
        assert os.system(command) == 0
        """,
    )
    contexts = outcome.wrote.contexts()
    for slug, run in [("system", "r"), *((s, "_") for s in ("bytes", "popen", "spawnv", "spawnlpe", "pty-spawn"))]:
        assert contexts[f"profile:{slug}"] == {"tool.py": [1, 3, 4, 5, 7, 8]}, slug
        assert outcome.wrote.unclosed(slug, run) == [], slug
    assert contexts["profile:pty"] == {"tool.py": [4, 5]}
    assert outcome.wrote.unclosed("pty") == []


def test_system_does_what_it_does(workspace: Workspace) -> None:
    """The same statuses and messages, traced or not."""
    outcome = workspace.run(
        r"""
        import os, sys, playtrace_agent

        COMMANDS = [
            "true", "false", "exit 7", "kill -9 $$", "no-such-command", "", "# nothing", "\n\nexit 3", "echo $0 $#",
            "echo 'it'\"'\"'s' \"$HOME\" \\\\ \\$x", "if", "echo a; )", "cat <<E\nhere\nE", "exec false", b"echo \xff",
            "echo $-", "trap 'echo bye' EXIT; exit 4", "sh -c 'kill -15 $$'", "true &", "x=1; echo $x; exit $x",
        ]

        def run():
            for command in COMMANDS:
                sys.stdout.flush()
                sys.stderr.flush()
                for line in (repr(command), os.system(command)):
                    print(line, flush=True)
            for wrong in (5, None, "a\0b"):
                try:
                    os.system(wrong)
                except (TypeError, ValueError) as error:
                    print(type(error).__name__, error)
            assert os.system("true " + 131_000 * "x") == 0

        os.dup2(1, 2)
        with open("plain", "w+b") as plain, open("traced", "w+b") as traced:
            for file in (plain, traced):
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                if file is plain:
                    run()
                else:
                    with playtrace_agent.trace("p"):
                        run()
                sys.stdout.flush()
        """,
    )
    plain, traced = ((workspace.app / name).read_bytes() for name in ("plain", "traced"))
    assert b"kill -9" in plain
    ours = [line for line in traced.splitlines() if not line.startswith(b"not traced: ")]
    assert ours == plain.splitlines()
    # What can't be followed is not silent.
    [lost] = outcome.wrote.of_kind("p", "lost")
    assert "too long" in lost["reason"]


def test_a_child_that_cannot_be_promised_runs_and_is_named(workspace: Workspace) -> None:
    workspace.write("tool.py", TOOL)
    outcome = workspace.run(
        """
        import os, subprocess, sys, playtrace_agent
        from playtrace_agent import children

        def broken(program, environment):
            raise OSError("broken")

        command = [sys.executable, "tool.py"]
        with playtrace_agent.trace("p"):
            children._is_python = broken
            assert subprocess.check_output(command) == b"args 1\\n"
            assert os.spawnv(os.P_WAIT, command[0], command) == 0
        """
    )
    assert "not traced: a child process" in outcome.err
    lost = outcome.wrote.of_kind("p", "lost")
    assert all("can't be followed: broken" in record["reason"] for record in lost)
    # The program itself says one, the process that it forked to run the other the other.
    assert len({record["file"] for record in lost}) == 2


CLEANED = "env -i", "env -i X=1", "env -u PROFILE_TRACE_CHILD -u ENABLE_PROFILE_COVERAGE"


@pytest.mark.parametrize("env", [*CLEANED, "env", "env -u HOME X=1", "/usr/bin/env -C ."])
def test_a_program_whose_environment_is_taken_away_is_named(workspace: Workspace, env: str) -> None:
    """`env` gets what the child has to know, and may keep it for itself."""
    workspace.write("tool.py", TOOL)
    workspace.run(
        f"""
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            subprocess.run([*{env.split()!r}, sys.executable, "tool.py"], check=True)
            # Nobody can say that this will be one.
            subprocess.run(["env", "X=python3", "true"], check=True)
        """
    )
    judged = judge(workspace, None)
    if env in CLEANED:
        assert judged.status == "partial"
        assert judged.names("data lost: the Python child `env -", "tool.py` left no record")
    else:
        assert (judged.status, judged.reasons) == ("consistent", [])


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_a_python_that_does_not_read_site_packages_is_named(workspace: Workspace, option: str) -> None:
    workspace.write("tool.py", TOOL)
    workspace.run(
        f"""
        import subprocess, sys, playtrace_agent

        with playtrace_agent.trace("p", "r"):
            subprocess.run([sys.executable, {option!r}, "tool.py"], env={{}}, check=True)
        """
    )
    judged = judge(workspace, None)
    assert judged.status == ("partial" if option == "-S" else "consistent"), judged
    assert judged.names("the Python child", "left no record") == (option == "-S")


def test_a_daemon_that_lives_on_keeps_the_run_open(workspace: Workspace) -> None:
    workspace.write(
        "daemon.py",
        """
        import os, sys

        def work():
            os.write(int(sys.argv[1]), b"x")
            os.read(int(sys.argv[2]), 1)
            return 1

        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                work()
        """,
    )
    driver = workspace.write(
        "driver.py",
        """
        import os, subprocess, sys, playtrace_agent

        ready, tell = os.pipe()
        wait, end = os.pipe()
        with playtrace_agent.trace("p", "r"):
            argv = [sys.executable, "daemon.py", str(tell), str(wait)]
            subprocess.run(argv, check=True, pass_fds=[tell, wait])
        os.close(tell)
        os.read(ready, 1)
        print(flush=True)
        sys.stdin.read()
        os.close(end)
        # The daemon has the pipe's other end as long as it lives.
        os.read(ready, 1)
        """,
    )
    process = subprocess.Popen(
        [sys.executable, str(driver)],
        env=workspace.environment(),
        cwd=workspace.app,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    with process:
        process.stdout.readline()
        judged = judge(workspace, None, keep=True)
        assert judged.names("os.fork()", "is still running"), judged
        process.stdin.close()
    judged = judge(workspace, None)
    assert (judged.status, judged.reasons) == ("consistent", [])
