"""What coverage.py is told to measure: at least what the agent does, which has the last word on each file."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .settings import ENGINE, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

#: The oldest release that this was tried with.
_OLDEST = (7, 4)
#: What has a meaning in a pattern.
_SPECIAL = frozenset("*?[]{}")


def release() -> str:
    """Return the release of coverage.py that is there.

    Raises:
        SettingsError: There is none, or it is too old.
    """
    oldest = ".".join(map(str, _OLDEST))
    wanted = f"{ENGINE}=coverage (what Python 3.10 and 3.11 have) needs coverage.py {oldest} or newer"
    try:
        found = version("coverage")
    except PackageNotFoundError:
        raise SettingsError(f"{wanted}: install it beside the app, for instance `pip install coverage`") from None
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if numbers < _OLDEST:
        raise SettingsError(f"{wanted}, and this is {found}: install a newer one")
    return found


def options(config: Path | None, root: Path) -> dict[str, Any]:
    """Return what a ``coverage.Coverage`` is made with: no file, no branches, no plug-ins."""
    import coverage

    given: dict[str, Any] = {"data_file": None, "config_file": False, "branch": False, "concurrency": _concurrency()}
    if config is None:
        return given
    read = coverage.Coverage(config_file=str(config), data_file=None)
    sources = [*_listed(read, "run:source"), *_listed(read, "run:source_pkgs")]
    if sources:
        # Not as sources: coverage.py would look through them for files that nothing executed.
        directories = [os.path.join(root, source) for source in sources]
        known = all(os.path.isdir(directory) for directory in directories) and not _SPECIAL & set("".join(directories))
        given["include"] = [os.path.join(os.path.realpath(each), "*") for each in directories] if known else ["*"]
    elif include := _listed(read, "run:include"):
        given["include"] = [pattern if pattern[0] in "*?" else os.path.join(root, pattern) for pattern in include]
    return given


def _concurrency() -> list[str]:
    import sys

    # Within a thread's traced work, a library may use greenlets of its own.
    return ["thread", "greenlet"] if "greenlet" in sys.modules else ["thread"]


def _listed(read: Any, name: str) -> list[str]:
    found = read.get_option(name)
    return [found] if isinstance(found, str) else list(found or [])
