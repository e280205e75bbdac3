"""Real traffic: which functions requests and jobs enter that belong to no profile.

``PROFILE_COVERAGE_ALWAYS=symbols`` asks for it. The native part records; here it is told that such work begins, so that
nothing of the start-up counts, that the clock is looked at now and then, and by which route a request came, or which
function a job calls. ``routes`` knows the frameworks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ._native import Route

    T = TypeVar("T")

#: Routes that were asked for, by their names. The native part tells fewer apart.
_known: dict[str, Route] = {}
#: A process may live for months, and an app make up names.
_REMEMBERED = 1000


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


def by_route() -> bool:
    """Say whether it is recorded by route. Asked once the agent is on."""
    settings = runtime.current_settings()
    return settings.always and "routes" not in settings.disabled


def route(name: str) -> Route | None:
    """Return what stands for a route of real traffic; ``None`` where that is not recorded."""
    known = _known.get(name)
    if known is None:
        found = runtime.native.route(name)
        if found is None:
            return None
        known, is_own = found
        if is_own and len(_known) < _REMEMBERED:
            _known[name] = known
    return known


def job(function: str, work: Callable[[], T]) -> T:
    """Do the work of a job that belongs to no profile, as a job of that function."""
    before = runtime.native.held()
    try:
        # Within the block: a time limit is an exception that may be raised anywhere.
        enter_job(function)
        return work()
    finally:
        runtime.native.leave_found_route(before)


def enter_job(function: str) -> Route | None:
    """Note that a job of that function begins; to be undone by ``leave_found_route``. ``None``: nothing is noted."""
    if not by_route():
        return None
    try:
        entered = route(f"job:{function}")
        if entered is not None:
            runtime.native.enter_route(entered, False)
    except Exception as error:  # noqa: BLE001 - the job comes first
        runtime.let_through(error)
        runtime.say_fault("recording real traffic", error)
        return None
    return entered
