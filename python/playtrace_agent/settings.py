"""The environment variables that switch the agent on and tell it where to write.

A fault in them stops the start-up of the app: traced without the wanted settings would be worse than not traced.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .variables import DISABLE as DISABLE
from .variables import HOOKS as HOOKS
from .variables import SLUG as SLUG

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DIRECTORY = "/workdir/wepppy-test-engine-data/coverage"
CONFIG_NAME = "coverage.profile-playback.ini"

ENABLE = "ENABLE_PROFILE_COVERAGE"
DIRECTORY = "PROFILE_COVERAGE_DIR"
CONFIG = "PROFILE_COVERAGE_CONFIG"
ROOT = "PROFILE_COVERAGE_ROOT"
PREFIX = "PROFILE_COVERAGE_CONTEXT_PREFIX"
STRICT = "PROFILE_COVERAGE_STRICT"
GRANULARITY = "PROFILE_COVERAGE_GRANULARITY"
ENGINE = "PROFILE_COVERAGE_ENGINE"
ALWAYS = "PROFILE_COVERAGE_ALWAYS"
SECRET = "PROFILE_TRACE_SECRET"  # noqa: S105 - the name of a variable

#: What can be recorded: lines by profile; besides, functions entered by request and job; lines by request and job;
#: functions entered by profile.
GRANULARITIES = ("profile", "steps", "request", "symbol")
DEFAULT_GRANULARITY = "steps"

#: What ``PROFILE_COVERAGE_DISABLE`` may leave out, and what a run's verdict is told then. An empty text: it is told
#: when traced work meets what was left out, or nothing can be lost.
PATCHES = {
    "threads": "threads are not followed",
    "thread-pools": "calls in thread pools are not followed",
    "subprocess": "programs that traced work starts are not followed",
    "exit": "lines that are not written before os._exit() and os.exec*() are lost",
    "multiprocessing": "",
    "imports": "code that an import runs is credited to whoever imports first",
    "rq": "jobs are not followed",
    "flask": "",
    "django": "",
    "gunicorn": "",
    "waitress": "",
    "werkzeug": "",
    "wsgiref": "",
    "uvicorn": "",
    "hypercorn": "",
}

RUN = "PROFILE_TRACE_RUN"
CHILD = "PROFILE_TRACE_CHILD"
#: The request or job that a child process works for, where they are told apart.
SCOPE = "PROFILE_TRACE_SCOPE"
#: Set for a work horse that is a program of its own. It says how the horse knows whose work it does: by its job's meta,
#: or, where that was replaced, by the variables ``SLUG`` and ``RUN``.
HORSE = "PROFILE_TRACE_HORSE"
HORSE_KNOWS = "1"
HORSE_IS_TOLD = "told"

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"", "0", "false", "no", "off"})


class SettingsError(ValueError):
    """A setting that can't be followed. The message names it and says what to do."""


@dataclass(frozen=True)
class Settings:
    """What the environment asks for."""

    directory: Path
    root: Path
    config: Path | None
    prefix: str
    strict: bool
    granularity: str
    disabled: frozenset[str] = frozenset()
    #: Whether it is recorded which functions real traffic enters.
    always: bool = False

    def for_child(self) -> dict[str, str]:
        """Return the variables that make a child process come to the same settings, wherever it runs."""
        variables = {
            ENABLE: "1",
            DIRECTORY: str(self.directory),
            ROOT: str(self.root),
            PREFIX: self.prefix,
            STRICT: "1" if self.strict else "0",
            GRANULARITY: self.granularity,
            DISABLE: ",".join(sorted(self.disabled)),
        }
        if self.config is not None:
            variables[CONFIG] = str(self.config)
        if self.always:
            variables[ALWAYS] = "symbols"
        return variables


def enabled(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether the agent is switched on."""
    environ = os.environ if environ is None else environ
    return _switch(environ, ENABLE)


def load(environ: Mapping[str, str] | None = None, app_dir: Path | None = None) -> Settings:
    """Read the settings; ``app_dir`` is where the app lies, its configuration beside it or above.

    Raises:
        SettingsError: A setting is wrong, or asks for what this version does not do.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd()
    _refuse_unknown(environ)
    config = _config(environ, cwd, app_dir)
    root = environ.get(ROOT)
    if root:
        root_path = (cwd / root).resolve()
        if not root_path.is_dir():
            raise SettingsError(f"{ROOT}={root}: there is no such directory; name the project's root")
    else:
        root_path = config.parent if config is not None else cwd
    prefix = environ.get(PREFIX) or "profile"
    if prefix == "import":
        raise SettingsError(f"{PREFIX}=import: that context is taken by code that imports run; choose another")
    return Settings(
        directory=(cwd / (environ.get(DIRECTORY) or DEFAULT_DIRECTORY)).absolute(),
        root=root_path,
        config=config,
        prefix=prefix,
        strict=_switch(environ, STRICT),
        granularity=_granularity(environ),
        disabled=disabled(environ),
        always=_always(environ),
    )


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in _ON:
        return True
    if value in _OFF:
        return False
    raise SettingsError(f"{name}={environ[name]}: use 1, true, yes or on, or leave it unset")


def _granularity(environ: Mapping[str, str]) -> str:
    value = environ.get(GRANULARITY) or DEFAULT_GRANULARITY
    if value not in GRANULARITIES:
        raise SettingsError(f"{GRANULARITY}={value}: use one of {', '.join(GRANULARITIES)}")
    return value


def _always(environ: Mapping[str, str]) -> bool:
    value = environ.get(ALWAYS, "").strip()
    if value not in ("", "symbols"):
        raise SettingsError(f"{ALWAYS}={environ[ALWAYS]}: use 'symbols', or leave it unset")
    return value == "symbols"


def disabled(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the names of what is to be left out of the changes that the agent makes in a process.

    Raises:
        SettingsError: There is no change of that name.
    """
    environ = os.environ if environ is None else environ
    names = frozenset(name.strip() for name in environ.get(DISABLE, "").split(",")) - {""}
    for name in sorted(names - PATCHES.keys()):
        raise SettingsError(f"{DISABLE}: {name!r} can't be left out; use some of {', '.join(PATCHES)}")
    return names


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    engine = environ.get(ENGINE) or "native"
    if engine != "native":
        raise SettingsError(f"{ENGINE}={engine}: this version does 'native' only; unset the variable")
    if environ.get(SECRET):
        raise SettingsError(
            f"{SECRET} is set, but this version can't check signed headers: "
            "unset it, and keep X-Profile-Trace from strangers at the proxy"
        )


def _config(environ: Mapping[str, str], cwd: Path, app_dir: Path | None) -> Path | None:
    named = environ.get(CONFIG)
    if named:
        path = (cwd / named).resolve()
        if not path.is_file():
            raise SettingsError(f"{CONFIG}={named}: there is no such file (looked at {path})")
        return path
    start = (app_dir or cwd).resolve()
    for directory in (start, *start.parents):
        if (directory / CONFIG_NAME).is_file():
            return directory / CONFIG_NAME
    return None
