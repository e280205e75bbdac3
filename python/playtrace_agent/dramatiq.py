"""Dramatiq: messages that traced work enqueues carry its profile, and workers trace them.

``install()`` does both, in the module that makes the broker: web processes and workers import it. A message carries
slug and run in its options, which retries, delays and pipelines keep.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from . import anyone, jobs, runtime, settings, units
from .jobs import RUN_KEY, SLUG_KEY, SlugMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RUN_KEY", "SLUG_KEY", "SlugMissingError", "install"]

log = logging.getLogger("playtrace_agent")
_installed = False
_working = False


def install() -> None:
    """Tag the messages that traced work enqueues, and trace those of this process's workers. Once.

    The agent is switched on by the web app that imports the module, or by the worker when it starts. Does nothing where
    ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    global _installed  # noqa: PLW0603 - the process has one `dramatiq`
    if _installed or not settings.enabled() or "dramatiq" in settings.disabled():
        return
    # Dramatiq logs what fails when a worker starts, and goes on.
    settings.load()
    _installed = True
    from dramatiq.broker import Broker

    kind: Any = Broker
    kind.emit_before, kind.emit_after = _emit_before(kind.emit_before), _emit_after(kind.emit_after)
    for cls in _family(kind):
        _wrap_enqueue(cls)
    kind.__init__ = _init(kind.__init__)
    runtime.tell_setup("dramatiq")


def _family(cls: Any) -> list[Any]:
    """Return a class and all that derive from it."""
    return [cls, *(derived for child in cls.__subclasses__() for derived in _family(child))]


#: Classes of brokers whose own way of enqueueing is wrapped.
_wrapped: set[Any] = set()


def _wrap_enqueue(cls: Any) -> None:
    """Wrap a broker's own way of enqueueing: what it refuses is taken back."""
    if "enqueue" in cls.__dict__ and cls not in _wrapped:
        _wrapped.add(cls)
        cls.enqueue = jobs.withdrawing(cls.enqueue)


def _init(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the making of a broker: its class may be defined later than this."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it is one
        for cls in type(self).__mro__:
            _wrap_enqueue(cls)
        original(self, *args, **kwargs)

    return __init__


def _emit_before(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap what calls the middleware: a message is tagged when all of it has seen it, right before it is sent."""

    @functools.wraps(original)
    def emit_before(self: Any, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_boot":
            _worker_starts()
        original(self, signal, *args, **kwargs)
        if signal == "enqueue":
            _enqueue(args[0])
        elif signal == "nack":
            _thrown_away(args[0])

    return emit_before


def _emit_after(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def emit_after(self: Any, signal: str, *args: Any, **kwargs: Any) -> None:
        original(self, signal, *args, **kwargs)
        if signal == "skip_message":
            _skipped(args[0])

    return emit_after


def _enqueue(message: Any) -> None:
    run = units.current_run()
    if run is None:
        return
    message.options.update(jobs.tag(message.options, run))
    owner = jobs.run_in(message.options) or run
    jobs.promise(owner, message.message_id, message.actor_name, message.queue_name)
    jobs.may_fail(functools.partial(jobs.withdraw, owner, message.message_id))
    runtime.say(logging.DEBUG, "message tagged: %s (%s), profile %s", message.message_id, message.actor_name, owner[0])


def _worker_starts() -> None:
    """Switch the agent on in a worker's process, before its threads start."""
    global _working  # noqa: PLW0603 - the process has one `dramatiq`
    try:
        if not runtime.start("worker") or _working:
            return
    except settings.SettingsError as error:
        log.error("nothing is traced: %s", error)
        return
    _working = True
    import dramatiq.worker

    # Its name has an underscore in some releases.
    thread: Any = getattr(dramatiq.worker, "WorkerThread", None) or vars(dramatiq.worker)["_WorkerThread"]
    thread.process_message = _process_message(thread.process_message)
    runtime.tell_setup("dramatiq-worker")


def _process_message(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the work itself: the actor, the middleware around it, what that enqueues (retries, pipelines, callbacks)."""

    @functools.wraps(original)
    def process_message(self: Any, message: Any, *args: Any, **kwargs: Any) -> None:
        job = message.message_id
        run = jobs.run_in(message.options) or jobs.recover(job, "its options were replaced")
        unit = jobs.open_unit(run, "job", job=job) if run is not None else None
        work = functools.partial(original, self, message, *args, **kwargs)
        if unit is None:
            anyone.job(message.actor_name, work)
        else:
            jobs.perform(unit, job, work)

    return process_message


def _thrown_away(message: Any) -> None:
    """Note a message that is rejected without having been performed: its worker does not know the actor."""
    run = jobs.run_in(message.options)
    if run is not None and jobs.performed.get() != message.message_id:
        jobs.drop(run, message.message_id, f"its worker has no actor {message.actor_name}, and threw it away")


def _skipped(message: Any) -> None:
    """Note a message that a middleware has skipped: it was too old, say."""
    run = jobs.run_in(message.options)
    if run is not None:
        jobs.drop(run, message.message_id, "a middleware of its worker skipped it (because of its age, say)")
