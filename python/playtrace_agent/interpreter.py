"""Which Pythons the agent can be switched on in, and by which engine they are traced."""

from __future__ import annotations

import platform
import sys
import sysconfig

from . import settings

NATIVE, COVERAGE = "native", "coverage"


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


def engine(named: str) -> str:
    """Return the engine for this interpreter: the one that ``PROFILE_COVERAGE_ENGINE`` names, or else the best one.

    Raises:
        SettingsError: The interpreter does not have the one that is named.
    """
    monitoring = hasattr(sys, "monitoring")
    if named == NATIVE and not monitoring:
        raise settings.SettingsError(
            f"{settings.ENGINE}=native, but this is Python {platform.python_version()}: that engine needs sys.monitoring, "
            "which CPython has from 3.12 on; unset the variable, and coverage.py is used"
        )
    return named or (NATIVE if monitoring else COVERAGE)
