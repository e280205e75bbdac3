"""What all job queues have in common: whose a job is, and what the ledger is told of it.

A job carries its profile's slug and its run's token to the worker, wherever its queue has a place for that. Each queue
has modules of its own (``rq``, ``celery``, …), which know when to call what is here.
"""

from __future__ import annotations

import functools
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import anyone, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("playtrace_agent")

SLUG_KEY = "profile_trace_slug"
RUN_KEY = "profile_trace_run"

#: A slug and a run's token, if the run has one.
Run = tuple[str, "str | None"]


#: The id of the job that the running code performs. What it enqueues under the same id is another execution (a retry).
performed: ContextVar[str | None] = ContextVar("playtrace_job", default=None)


class SlugMissingError(RuntimeError):
    """With ``PROFILE_COVERAGE_STRICT``: a job that traced work enqueues does not carry its profile."""


def run_in(carried: Mapping[str, Any] | None) -> Run | None:
    """Return the slug and run that a job carries in its meta, headers or options."""
    try:
        slug, run = (carried.get(SLUG_KEY), carried.get(RUN_KEY)) if carried else (None, None)
    except Exception:  # noqa: BLE001 - what can't be read is the app's affair
        return None
    return (str(slug), str(run) if run else None) if slug else None


def tag(carried: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return what a job is to carry."""
    slug, token = run
    # An app that names another profile names no run of it: ours would be none of that profile's.
    ours = {} if SLUG_KEY in carried else {SLUG_KEY: slug, **({RUN_KEY: token} if token else {})}
    return {**ours, **carried}


def promise(run: Run, job: str, function: str, queue: str) -> None:
    """Write the promise into the ledger, and beside it whose job it is, in case that it loses its slug."""
    from . import _native

    again = job == performed.get()
    runtime.guard("promising a job", lambda: _native.enqueue(*run, job, function, queue, again))


def miss(run: Run, message: str) -> None:
    """Tell the ledger that a job of a run lost its slug."""
    from . import _native

    runtime.say(logging.WARNING, "%s", message)
    runtime.guard("noting a job without its slug", lambda: _native.owed(*run, message))


def withdraw(run: Run, job: str, error: BaseException) -> None:
    """Take a promise back: the job was not enqueued after all."""
    from . import _native

    reason = f"enqueueing it failed: {type(error).__name__}: {error}"[:300]
    if job == performed.get():
        # The executions that it had before stay what they are.
        drop(run, job, reason)
        return
    runtime.guard("withdrawing a job", lambda: _native.withdraw(*run, job, reason))


#: What takes back the promises made in the innermost call under way that enqueues. Greenlets of one thread may be in
#: one each.
_enqueueing: ContextVar[list[Callable[[BaseException], None]] | None] = ContextVar("playtrace_enqueueing", default=None)


def may_fail(take_back: Callable[[BaseException], None]) -> None:
    """Have a promise taken back if the call of a ``withdrawing`` function fails in which it was made."""
    promised = _enqueueing.get()
    if promised is not None:
        promised.append(take_back)


def withdrawing(original: Callable[..., Any], *, together: bool = False) -> Callable[..., Any]:
    """Wrap a function that enqueues: what was promised in a call that fails is taken back.

    ``together``: what calls within it have promised, too. Where each of these sends its own job, it is on its way.
    """

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        outer = _enqueueing.get()
        promised: list[Callable[[BaseException], None]] = []
        try:
            # Within the block: a signal's handler may raise as soon as it is set.
            _enqueueing.set(promised)
            result = original(*args, **kwargs)
        except BaseException as error:
            for take_back in promised:
                take_back(error)
            raise
        finally:
            _enqueueing.set(outer)
        if together and outer is not None:
            outer.extend(promised)
        return result

    return call


def start(run: Run, job: str, worker: str) -> None:
    """Promise, in the worker's parent process, that a job is started now."""
    from . import _native

    runtime.guard("noting a job's start", lambda: _native.job_start(*run, job, worker))


def drop(run: Run, job: str, reason: str, *, asked: bool = False) -> None:
    """Tell the ledger that a worker took a job and will not run it; ``asked``: because the app asked for that."""
    from . import _native

    runtime.guard("noting a job that does not run", lambda: _native.job_dropped(*run, job, reason, asked))


def recover(job: str, lost: str) -> Run | None:
    """Find the run of a job that came to its worker without a slug. If it has one, it owes that: the verdict says so.

    ``lost`` says how it came to be.
    """
    from . import _native

    run = noted(job)
    if run is not None:
        slug, token = run
        message = f"job {job} came to its worker without {SLUG_KEY}: {lost}"
        log.warning("%s (profile %s)", message, slug)
        runtime.guard("noting a job without its slug", lambda: _native.owed(slug, token, message))
    elif (meet := anyone.meeting()) is not None:
        # Nobody's: real traffic.
        meet()
    return run


def noted(job: str) -> Run | None:
    """Return the run that promised a job, as long as no worker has begun it."""
    from . import _native

    try:
        return _native.promised_run(job)
    except Exception:
        log.warning("can't find out whether job %s belongs to a profile", job, exc_info=True)
        return None


def open_unit(run: Run, kind: str, *, job: str | None = None, what: str = "") -> units.Unit | None:
    """Open a unit; a fault is said, a limit once, and the work goes on untraced."""
    from . import _native

    try:
        return units.begin(kind, *run, job=job, what=what)
    except (ValueError, _native.TraceError) as error:
        if not isinstance(error, _native.FullError) or units.is_unsaid(*run, error):
            log.warning("not traced: %s of profile %s: %s", what or f"job {job}", _shown(run), error)
    except Exception:
        log.warning("not traced: %s of profile %s", what or f"job {job}", _shown(run), exc_info=True)
    return None


def _shown(run: Run) -> str:
    """Return what a job says of its profile, for the log: whoever writes to the queue may have written it."""
    return "".join(c if c.isprintable() else "?" for c in run[0][:128])


def perform(unit: units.Unit, job: str, work: Callable[[], Any]) -> Any:
    """Do a job's work within its unit; what it enqueues under its own id is one more execution of it."""
    before = performed.get()
    try:
        # Within the block: a time limit is an exception that may be raised anywhere.
        performed.set(job)
        return within(unit, work)
    finally:
        performed.set(before)


def within(unit: units.Unit | None, work: Callable[[], Any]) -> Any:
    """Do a job's work within its unit, and end that; without one, just do it."""
    from . import _native

    if unit is None:
        return work()
    try:
        return _native.call_within(unit, work)
    finally:
        units.end(unit)
