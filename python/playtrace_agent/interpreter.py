"""Which Pythons the agent can be switched on in, and by which engine they are traced."""

from __future__ import annotations

import logging
import platform
import sys
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from . import runtime, settings

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger("playtrace_agent")

NATIVE, COVERAGE = settings.ENGINES


class Chosen(NamedTuple):
    """An engine, and what it does."""

    engine: str
    #: For people.
    by: str
    granularity: str

    def possible(self, wanted: settings.Settings) -> settings.Settings:
        """Return the settings without what the engine can't do; that is said."""
        if self.engine == NATIVE:
            # It asks for the context of each line.
            return replace(wanted, disabled=wanted.disabled - {"contexts"})
        if wanted.always:
            log.warning("real traffic is not recorded: %s needs the native engine (sys.monitoring)", settings.ALWAYS)
            return replace(wanted, always=False)
        return wanted

    def listen(self, native: ModuleType, wanted: settings.Settings) -> None:
        """Have the native part listen to the engine, if it is not its own."""
        if self.engine == COVERAGE:
            from .coverage_engine import CoverageEngine

            native.listen_with(CoverageEngine(native, wanted))
            if "contexts" not in wanted.disabled and not native.follow_contexts():
                runtime.leave_out("contexts")


def refusal() -> str | None:
    """Say why nothing can be traced in this interpreter, whatever the settings are; ``None`` where it can be."""
    if sys.implementation.name != "cpython":
        return f"this is {platform.python_implementation()}, and only CPython can be traced"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return (
            f"this is a free-threaded build of Python {platform.python_version()}, which can't be traced: "
            "run the app that is to be traced with the default build"
        )
    return None


def not_loaded(error: ImportError) -> str:
    """Say why the native part can't be loaded: in a subinterpreter, say, as mod_wsgi makes them."""
    return (
        f"the agent can't be loaded here ({error}): trace in a process's main interpreter "
        "(mod_wsgi: WSGIApplicationGroup %{GLOBAL}), with the wheel that was built for this machine"
    )


def choose(wanted: settings.Settings, *, quiet: bool) -> Chosen:
    """Choose the engine that ``PROFILE_COVERAGE_ENGINE`` names, or else the best that the interpreter has.

    Raises:
        SettingsError: The interpreter does not have the one that is named, or coverage.py is not there.
    """
    monitoring = hasattr(sys, "monitoring")
    if wanted.engine == NATIVE and not monitoring:
        raise settings.SettingsError(
            f"{settings.ENGINE}=native, but this is Python {platform.python_version()}: that engine needs "
            "sys.monitoring, which CPython has from 3.12 on; unset the variable, and coverage.py is used"
        )
    if (wanted.engine or (NATIVE if monitoring else COVERAGE)) == NATIVE:
        return Chosen(NATIVE, NATIVE, wanted.granularity)
    from . import coverage_settings

    by = f"coverage.py {coverage_settings.release()}"
    # What a function entered is not among its lines.
    granularity = "request" if wanted.granularity == "request" else "profile"
    log.log(
        logging.INFO if quiet else logging.WARNING,
        "Python %s is traced by %s: several times slower than without, lines by %s, no greenlets, no uvloop",
        platform.python_version(),
        by,
        granularity,
    )
    return Chosen(COVERAGE, by, granularity)
