"""What a child process must know to belong to the run that started it."""

from __future__ import annotations

import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _native, runtime, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_PYTHON = re.compile(r"python[\d.]*w?\Z")


@dataclass(frozen=True)
class Child:
    """A child process that was promised in the ledger."""

    token: str
    environment: dict[Any, Any]

    def never_started(self) -> None:
        """Keep the promise at once: there is no child."""

        def close() -> None:
            opened = _native.open_within("child", child=self.token, what="it could not be started")
            if opened is not None:
                _native.close_unit(opened)

        runtime.guard("withdrawing a child process", close)


def promise(
    args: Any, *, executable: Any = None, shell: bool = False, environment: Mapping[Any, Any] | None = None
) -> Child | None:
    """Promise a child of the running code in the ledger; ``None`` outside traced work or where that fails."""
    environment = os.environ if environment is None else environment
    try:
        argv = _words(args)
        program = os.fsdecode(executable) if executable is not None else argv[0] if argv else ""
        python = not shell and _is_python(program, environment)
        promised = _native.spawn(" ".join(argv)[:200], python)
        if promised is None:
            return None
        return Child(promised[0], {**environment, **_variables(*promised)})
    except Exception as error:  # noqa: BLE001 - starting the child comes first
        runtime.say(logging.WARNING, "not traced: a child process (%.100r): %s", args, error)
        reason = f"a child process ({args!r:.100}) can't be followed: {error}"
        owner = _native.current_run()
        if owner is not None:
            runtime.guard("noting a child process", lambda: _native.lost(*owner, reason))
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


def _is_python(program: str, environment: Mapping[Any, Any]) -> bool:
    """Say whether the program certainly is Python: the interpreter, or a script that names it in its first line."""
    if _PYTHON.match(Path(program).name):
        return True
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        return False
    if _PYTHON.match(Path(os.path.realpath(found)).name):
        return True
    with Path(found).open("rb") as file:
        line = file.readline(200)
    return line.startswith(b"#!") and b"python" in line
