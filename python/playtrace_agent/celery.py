"""Celery: tasks that traced work sends carry its profile, and workers trace them.

``install()`` does both, in the module that makes the app: web processes and workers import it. The two sides are
``celery_publish`` and ``celery_worker``; both do nothing until they are installed.
"""

from __future__ import annotations

import logging
from typing import Any

from . import runtime, settings
from .jobs import RUN_KEY, SLUG_KEY, SlugMissingError

__all__ = ["RUN_KEY", "SLUG_KEY", "SlugMissingError", "install"]

log = logging.getLogger("playtrace_agent")
_installed = False


def install() -> None:
    """Tag the tasks that traced work sends, and trace those of this process's workers. Once.

    For the module that makes the app. The agent is switched on by the web app that imports it, or by the worker when it
    starts. Does nothing where ``ENABLE_PROFILE_COVERAGE`` is off.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    global _installed  # noqa: PLW0603 - the process has one `celery`
    if _installed or not settings.enabled() or "celery" in settings.disabled():
        return
    # A signal's receiver can't refuse the start of a worker: Celery logs what it raises and goes on.
    settings.load()
    _installed = True
    from celery import signals

    from . import celery_publish

    celery_publish.install()
    signals.worker_init.connect(_worker_starts, weak=False)
    runtime.tell_setup("celery-publish")


def _worker_starts(**_: Any) -> None:
    """Switch the agent on in a worker's main process, before it makes its pool."""
    try:
        if not runtime.start("worker"):
            return
    except settings.SettingsError as error:
        log.error("nothing is traced: %s", error)
        return
    from . import celery_worker

    celery_worker.install()
    runtime.tell_setup("celery-worker")
