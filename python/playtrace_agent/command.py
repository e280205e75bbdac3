"""``playtrace-agent run -- command …``: starts a server or worker whose apps are traced without a line of theirs.

It only sets variables and becomes the command. What they do is in ``hooks``; nothing is written anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_EXAMPLES = """\
examples:
  playtrace-agent run -- gunicorn --workers 4 --threads 8 app:app
  playtrace-agent run -- flask --app app run
  playtrace-agent run -- python manage.py runserver
  playtrace-agent run -- rq worker default

Where data goes and what is measured, the variables PROFILE_COVERAGE_DIR, PROFILE_COVERAGE_CONFIG and
PROFILE_COVERAGE_ROOT say. Only requests with the header X-Profile-Trace, and what they start, are traced.
"""

#: What the command's Python is asked, before it starts.
_PROBE = """\
import importlib.util, json, sys
# What lies in the working directory is not installed.
sys.path[:] = [entry for entry in sys.path if entry]
installed = importlib.util.find_spec("playtrace_agent") is not None
print(json.dumps([list(sys.version_info[:2]), installed, "playtrace_agent.hooks" in sys.modules]))
"""
#: A shell's exit statuses for commands that are not there, or that it may not execute.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_USAGE = 2
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*\Z")


class UsageError(Exception):
    """Why a command can't be run with the agent; ``status`` is the exit status."""

    def __init__(self, message: str, status: int = _USAGE) -> None:
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program ``playtrace-agent``. Where all is well, the command takes this process's place."""
    parser = _parser()
    given = parser.parse_args(argv)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    try:
        run(command)
    except (UsageError, settings.SettingsError) as error:
        print(f"playtrace-agent: {error}", file=sys.stderr)
        return getattr(error, "status", _USAGE)


def run(command: Sequence[str]) -> NoReturn:
    """Become a command whose apps are traced.

    Raises:
        UsageError: It can't be: it is not there, or its Python can't trace.
        SettingsError: The environment asks for what can't be done.
    """
    if not command:
        raise UsageError("no command: playtrace-agent run -- gunicorn app:app")
    program = shutil.which(command[0])
    if program is None:
        there = Path(command[0]).is_file()
        what = "can't be executed" if there else "there is no such command"
        raise UsageError(f"{command[0]}: {what}", _NOT_EXECUTABLE if there else _NOT_FOUND)
    environment = {**os.environ, settings.ENABLE: "1", settings.HOOKS: "1"}
    settings.load(environment)
    python = interpreter(Path(program))
    if python is not None:
        check(python, command[0], environment)
    try:
        os.execve(program, list(command), environment)  # noqa: S606 - that is what is asked for
    except OSError as error:
        raise UsageError(f"{program}: {error.strerror}", _NOT_EXECUTABLE) from error


def interpreter(program: Path) -> str | None:
    """Return the Python that a program is or names in its first lines; ``None`` for other programs."""
    if _PYTHON.match(program.name):
        return str(program)
    try:
        with program.open("rb") as file:
            first, second = (file.readline(1000).decode(errors="replace") for _ in range(2))
    except OSError:
        return None
    if not first.startswith("#!"):
        return None
    words = first[2:].split()
    if second.startswith("'''exec'"):
        # What installers write where the path is too long for a first line.
        words = shlex.split(second.removeprefix("'''exec'"))[:1]
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if word != "-S"]
    if not words or not _PYTHON.match(Path(words[0]).name):
        return None
    return shutil.which(words[0])


def check(python: str, command: str, environment: Mapping[str, str]) -> None:
    """See whether a Python can trace.

    Raises:
        UsageError: It has no agent, or is too old for one.
    """
    run_by = f"{command} is run by {python}"
    asked = subprocess.run(  # noqa: S603 - the command's own interpreter
        [python, "-c", _PROBE], env=environment, capture_output=True, text=True, check=False
    )
    try:
        version, installed, waits = json.loads(asked.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise UsageError(f"{run_by}, which does not work: {asked.stderr.strip()[-300:]}") from None
    if tuple(version) < (3, 10):
        raise UsageError(f"{run_by}, which is Python {version[0]}.{version[1]}: tracing needs 3.10 or newer")
    install = f"{shlex.quote(python)} -m pip install"
    if not installed:
        raise UsageError(f"{run_by}, where playtrace-agent is not installed: {install} playtrace-agent")
    if not waits:
        raise UsageError(
            f"{run_by}, where playtrace_agent_child.pth is missing beside the agent: "
            f"{install} --force-reinstall playtrace-agent"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="playtrace-agent",
        description="Traces which lines of a Python web app each replayed profile executes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"playtrace-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="run")
    running = commands.add_parser(
        "run",
        help="start a server or worker with its apps traced, without a change in them",
        description="Start a server or worker with its apps traced, without a change in them.",
        usage="playtrace-agent run [--] command [argument …]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    running.add_argument("command", nargs=argparse.REMAINDER, help="the command, with its arguments")
    return parser
