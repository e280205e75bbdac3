"""The start of a Python process that traced work started, or that ``playtrace-agent run`` did.

Called by ``playtrace_agent_child.pth`` while the interpreter starts, before any code of the program.
"""

from __future__ import annotations

import os
import sys

from . import variables

_started = False


def start() -> None:
    """Join the run that the environment names. Whatever goes wrong, the program runs; the ledger tells."""
    global _started  # noqa: PLW0603 - it is about the process
    # `site` may read the .pth file twice: as the base installation's and as the virtual environment's.
    if _started:
        return
    _started = True
    if os.environ.get(variables.HOOKS):
        _wait_for_apps()
    slug = os.environ.get(variables.SLUG)
    if slug:
        _join(slug)


def _wait_for_apps() -> None:
    try:
        from . import hooks

        hooks.install()
    except Exception:
        import logging

        logging.getLogger("playtrace_agent").warning("apps of this process are not traced", exc_info=True)


def _join(slug: str) -> None:
    from . import settings

    # The token is this process's alone: what it starts in ways that nobody follows must not answer to it.
    child = os.environ.pop(settings.CHILD, None)
    run = os.environ.get(settings.RUN) or None
    scope = os.environ.pop(settings.SCOPE, None) or None
    horse = os.environ.pop(settings.HORSE, None)
    try:
        from . import runtime

        if horse:
            from . import rq, rq_worker

            for name in (settings.SLUG, settings.RUN):
                os.environ.pop(name, None)
            if horse == settings.HORSE_IS_TOLD:
                rq_worker.recovered = slug, run
            rq.install(role="job")
        elif runtime.start("child"):
            from . import processes

            processes.begin_process(slug, run, child, " ".join(sys.orig_argv)[:200], scope)
    except Exception:
        import logging

        logging.getLogger("playtrace_agent").warning("this child process is not traced", exc_info=True)
