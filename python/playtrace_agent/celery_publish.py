"""The sending side of Celery: a task that traced work sends is tagged and promised before a worker can see it.

Every way of sending comes by ``before_task_publish``: ``delay``, chains, groups, chords, retries, ``replace``.
What a task sends, its callbacks included, is sent from within its own traced work.
"""

from __future__ import annotations

import functools
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import jobs, runtime, units

if TYPE_CHECKING:
    from collections.abc import Callable

#: A message that was sent without the slug that it owes.
_missed: ContextVar[str | None] = ContextVar("playtrace_celery_missed", default=None)


def install() -> None:
    """Tag and promise the tasks that traced work sends."""
    from celery import signals
    from celery.app.base import Celery

    signals.before_task_publish.connect(_before, weak=False)
    signals.after_task_publish.connect(_after, weak=False)
    kind: Any = Celery
    kind.send_task = _send_task(kind.send_task)


def task_id(headers: Any, body: Any) -> str | None:
    """Return the id of a message's task: protocol 1 has it in its body."""
    for place in (headers, body):
        if isinstance(place, dict) and "id" in place:
            return str(place["id"])
    return None


def _before(sender: Any = None, headers: Any = None, body: Any = None, routing_key: Any = None, **_: Any) -> None:
    run = units.current_run()
    job = task_id(headers, body) if run is not None else None
    if run is None or job is None:
        return
    headers.update(jobs.tag(headers, run))
    # The app may say whose task it is: that run's ledger is promised it.
    owner = jobs.run_in(headers) or run
    jobs.promise(owner, job, str(sender), str(routing_key or ""))
    jobs.may_fail(functools.partial(jobs.withdraw, owner, job))
    runtime.say(logging.DEBUG, "task tagged: %s (%s), profile %s", job, sender, owner[0])


def _after(sender: Any = None, headers: Any = None, body: Any = None, **_: Any) -> None:
    """See whether another receiver, of the app's, has taken the slug off the message."""
    run = units.current_run()
    job = task_id(headers, body) if run is not None else None
    if run is None or job is None or jobs.SLUG_KEY in headers:
        return
    message = (
        f"task {job} ({sender}) is sent by work of profile {run[0]}, but its message lost {jobs.SLUG_KEY}: "
        "add to its headers, don't replace them"
    )
    jobs.miss(run, message)
    _missed.set(message)


def _send_task(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what sends one message: a broker may refuse it."""
    sending = jobs.withdrawing(original)

    @functools.wraps(original)
    def send_task(*args: Any, **kwargs: Any) -> Any:
        if not runtime.started() or units.current_run() is None:
            return original(*args, **kwargs)
        _missed.set(None)
        result = sending(*args, **kwargs)
        missed = _missed.get()
        if missed is not None and runtime.current_settings().strict:
            # Celery swallows what a signal's receiver raises. The message is on its way by now.
            raise jobs.SlugMissingError(missed)
        return result

    return send_task
