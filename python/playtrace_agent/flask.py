"""One line for a Flask app: ``playtrace_agent.flask.init_app(app)``."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from . import runtime, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

log = logging.getLogger("playtrace_agent")

_KEY = "playtrace_agent"
#: The module of the middleware that WEPPcloud used before: one ``coverage.Coverage`` for each request.
_OLD_MODULE = "middleware.profile_coverage"


def init_app(app: Flask) -> None:
    """Trace the app's requests that carry ``X-Profile-Trace``.

    Does nothing where ``ENABLE_PROFILE_COVERAGE`` is off. Jobs that traced requests enqueue with RQ are tagged; the
    worker needs ``playtrace_agent.rq.install()``.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    if has(app) or not settings.enabled():
        return
    from . import rq
    from .wsgi import TraceMiddleware

    if not runtime.start("web", Path(app.root_path), hooks=rq.install_queue_if_present):
        return
    with runtime.changing():
        # Where nothing in the app asks for it, the first requests do, maybe two at once.
        if has(app):
            return
        # The agent may have been on before.
        rq.install_queue_if_present()
        app.wsgi_app = TraceMiddleware(app.wsgi_app, refusal=_refusal(app))  # type: ignore[method-assign]
        app.extensions[_KEY] = True


def has(app: Flask) -> bool:
    """Say whether the app has its middleware."""
    return _KEY in app.extensions


def _refusal(app: Flask) -> Callable[[], str | None]:
    """Return a check for the old middleware: two tracers of one request would each credit half of it."""

    # Once, at the first traced request: from the first request on, Flask takes no more hooks.
    @functools.cache
    def check() -> str | None:
        for table in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
            for hooks in table.values():
                for hook in hooks:
                    if (getattr(hook, "__module__", None) or "").endswith(_OLD_MODULE):
                        return _refused(hook.__module__)
        wrapper = type(getattr(app.wsgi_app, "app", None)).__module__
        return _refused(wrapper) if wrapper.endswith(_OLD_MODULE) else None

    return check


def _refused(module: str) -> str:
    return f"the older coverage middleware {module} is active in this app and traces it: remove one of the two"
