"""Real traffic: which functions requests and jobs enter that belong to no profile.

``PROFILE_COVERAGE_ALWAYS=symbols`` asks for it. The native part records; here it is told that such work begins, so that
nothing of the start-up counts, and that the clock is looked at now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import runtime

if TYPE_CHECKING:
    from collections.abc import Callable


def meeting() -> Callable[[], None] | None:
    """Return what is to be called when a request or job begins that belongs to no profile; ``None``: nothing is.

    Asked once the agent is on.
    """
    return meet if runtime.current_settings().always else None


def meet() -> None:
    """Say that a request or job begins that belongs to no profile. Raises nothing of its own."""
    try:
        runtime.native.traffic()
    except Exception as error:  # noqa: BLE001 - the request comes first
        runtime.say_fault("recording real traffic", error)
