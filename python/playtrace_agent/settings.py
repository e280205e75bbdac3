"""The environment variables that switch the agent on and tell it where to write.

A fault in them stops the start-up of the app: traced without the wanted settings would be worse than not traced.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
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
#: Bytes of a secret, without white space around it.
_SHORTEST = 16
ALLOW = "PROFILE_TRACE_ALLOW"
#: Set for a child process whose parent has a secret: headers must be signed there, too, whether it has it or not.
SIGNED = "PROFILE_TRACE_SIGNED"

#: What can be recorded: lines by profile; besides, functions entered by request and job; lines by request and job;
#: functions entered by profile.
GRANULARITIES = ("profile", "steps", "request", "symbol")
DEFAULT_GRANULARITY = "steps"

#: What can report lines: the interpreter's ``sys.monitoring``, or coverage.py.
ENGINES = ("native", "coverage")

#: What ``PROFILE_COVERAGE_DISABLE`` may leave out, and what a run's verdict is told then. An empty text: it is told
#: when traced work meets what was left out, or nothing can be lost.
PATCHES = {
    "threads": "threads are not followed",
    "thread-pools": "calls in thread pools are not followed",
    "greenlets": "greenlets are not followed",
    "subprocess": "programs that traced work starts are not followed",
    "contexts": "work in other contexts (event loops, copy_context().run) is not followed by the coverage engine",
    "exit": "lines that are not written before os._exit() and os.exec*() are lost",
    "multiprocessing": "",
    "imports": "code that an import runs is credited to whoever imports first",
    "rq": "jobs are not followed",
    "celery": "Celery's tasks are not followed",
    "dramatiq": "Dramatiq's messages are not followed",
    "huey": "Huey's tasks are not followed",
    "arq": "arq's jobs are not followed",
    "routes": "",
    "flask": "",
    "django": "",
    "gunicorn": "",
    "waitress": "",
    "werkzeug": "",
    "wsgiref": "",
    "uvicorn": "",
    "hypercorn": "",
    "daphne": "",
    "granian": "",
}

#: Limits: the variable, what is limited, and the default. 0 is no limit.
LIMITS = {
    "PROFILE_COVERAGE_MAX_CONTEXTS": ("contexts", 4096),
    "PROFILE_COVERAGE_MAX_RUNS": ("runs", 2000),
    "PROFILE_COVERAGE_MAX_FILES": ("files", 50_000),
    "PROFILE_COVERAGE_MAX_SHARD": ("shard", 1_000_000_000),
    "PROFILE_COVERAGE_MAX_LEDGER": ("ledger", 1_000_000_000),
    "PROFILE_COVERAGE_MIN_FREE": ("free", 100_000_000),
}
#: Those of them that are bytes.
_BYTES = frozenset({"shard", "ledger", "free"})
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_NUMBER = re.compile(r"(\d{1,15})\s*((?:[KMG]I?)?B)?\Z", re.ASCII)

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
    #: Shown nowhere, and handed on by nobody here: what `os.system` runs is told by its command line, which `ps` shows.
    secret: str | None = field(default=None, repr=False)
    signed_only: bool = False
    allow: str | None = None
    #: By the names that the native part has for them.
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS.values()))
    #: ``native`` or ``coverage``; empty: whichever the interpreter has.
    engine: str = ""
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
            SIGNED: "1" if self.secret or self.signed_only else "0",
            ALLOW: self.allow or "",
            **{name: str(self.limits[what]) for name, (what, _) in LIMITS.items()},
        }
        if self.engine:
            variables[ENGINE] = self.engine
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
        secret=_secret(environ),
        signed_only=_switch(environ, SIGNED),
        allow=environ.get(ALLOW) or None,
        limits={what: _limit(environ, name, what, default) for name, (what, default) in LIMITS.items()},
        engine=_engine(environ),
        always=_always(environ),
    )


def _secret(environ: Mapping[str, str]) -> str | None:
    value = environ.get(SECRET) or None
    if value is not None:
        try:
            value.encode()
        except UnicodeEncodeError:
            # Without the error itself, which shows a part of it.
            raise SettingsError(f"{SECRET} is not UTF-8: use such as `openssl rand -hex 32` prints") from None
        # The native part asks for as much (`crates/grant`), but not before a server has started.
        length = len(value.strip().encode())
        if length < _SHORTEST:
            raise SettingsError(f"{SECRET} has {length} bytes: use {_SHORTEST} at least (`openssl rand -hex 32`)")
    return value


def _limit(environ: Mapping[str, str], name: str, what: str, default: int) -> int:
    value = environ.get(name, "").strip()
    if not value:
        return default
    found = _NUMBER.match(value.upper())
    if found is None or (found[2] and what not in _BYTES):
        wanted = "bytes, such as 250MB" if what in _BYTES else "a whole number"
        raise SettingsError(f"{name}={value}: use {wanted}, or 0 for no limit")
    return int(found[1]) * _UNITS[found[2] or ""]


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


def _engine(environ: Mapping[str, str]) -> str:
    value = environ.get(ENGINE, "")
    if value not in {"", *ENGINES}:
        raise SettingsError(f"{ENGINE}={value}: use one of {', '.join(ENGINES)}, or leave it unset")
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
