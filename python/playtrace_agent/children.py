"""What a child process must know to belong to the run that started it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _native, runtime, settings, shells, units

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Linux takes 128 KiB for one argument.
_LONGEST = 131_000
#: Options of ``env`` whose value is a word of its own.
_ENV_TAKES = frozenset({"-u", "-C", "--unset", "--chdir"})
_PYTHON = re.compile(r"python[\d.]*w?\Z")


@dataclass(frozen=True)
class Child:
    """A child process that was promised in the ledger."""

    token: str
    environment: dict[Any, Any]
    #: What of the environment says whose child it is.
    variables: dict[str, str]

    def never_started(self) -> None:
        """Keep the promise at once: there is no child."""

        def close() -> None:
            opened = _native.open_within("child", child=self.token, what="it could not be started")
            if opened is not None:
                units.end(units.Unit(opened))

        runtime.guard("withdrawing a child process", close)

    def shell_command(self, command: bytes) -> bytes | None:
        """Return a command for ``sh -c`` that runs ``command`` in the child's environment; ``None`` if it is too long.

        The command is handed to a shell of its own, which takes the first one's place: line numbers in its messages and
        the way it ends, by a signal or not, stay as they are.
        """
        words = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        setting = os.fsencode("export " + " ".join(words) + "; exec /bin/sh -c ")
        # The last word is the shell's own name, as the C library's `system` has it.
        followed = setting + b"'" + command.replace(b"'", b"'\"'\"'") + b"' sh"
        return followed if len(followed) < _LONGEST else None


def promise(
    args: Any, *, executable: Any = None, shell: bool = False, environment: Mapping[Any, Any] | None = None
) -> Child | None:
    """Promise a child of the running code in the ledger; ``None`` outside traced work or where that fails."""
    environment = os.environ if environment is None else environment
    try:
        argv = _words(args)
        program = os.fsdecode(executable) if executable is not None else _program(argv)
        python = not shell and _is_python(program, environment)
        # One that `env` starts directly has a promise to keep.
        bare = None if python else shells.emptied(argv, lambda name: _is_python(name, environment), shell=shell)
        if bare is not None:
            runtime.lose(f"a Python that a command starts with an emptied environment (`{bare}`) is not followed")
        # A command need not be text.
        what = " ".join(argv)[:200].encode(errors="backslashreplace").decode()
        promised = _native.spawn(what, python)
        if promised is None:
            return None
        variables = _variables(*promised)
        return Child(promised[0], {**environment, **variables}, variables)
    except Exception as error:  # noqa: BLE001 - starting the child comes first
        runtime.let_through(error)
        runtime.lose(f"a child process ({args!r:.100}) can't be followed: {error}")
        return None


def _variables(token: str, slug: str, run: str | None, scope: str | None) -> dict[str, str]:
    variables = {**runtime.current_settings().for_child(), settings.SLUG: slug, settings.CHILD: token}
    # An inherited run token or scope would be another run's.
    variables[settings.RUN] = run or ""
    variables[settings.SCOPE] = scope or ""
    return variables


def _words(args: Any) -> list[str]:
    if isinstance(args, str | bytes | os.PathLike):
        return [os.fsdecode(args)]
    return [os.fsdecode(arg) for arg in args]


def _program(argv: list[str]) -> str:
    """Return the program that a command runs: ``env`` runs another one, and may take away what that has to know."""
    words = iter(argv)
    program = next(words, "")
    if Path(program).name != "env":
        return program
    for word in words:
        if word in _ENV_TAKES:
            next(words, "")
        elif not word.startswith("-") and "=" not in word:
            return word
    return program


def _is_python(program: str, environment: Mapping[Any, Any]) -> bool:
    """Say whether the program certainly is Python: the interpreter, or a script that names it in its first line."""
    if _PYTHON.match(Path(program).name):
        return True
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return False
    if _PYTHON.match(Path(os.path.realpath(found)).name):
        return True
    try:
        with Path(found).open("rb") as file:
            line = file.readline(200)
    except OSError:
        # A program that may be executed and not read.
        return False
    return line.startswith(b"#!") and b"python" in line
