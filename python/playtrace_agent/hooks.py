"""Traces apps that have no line of ours: what ``playtrace-agent run`` puts in place in each Python that it starts.

Many of these processes have no app: next to nothing is imported for it, here or by what is imported here. When the app
or its server imports one of the modules below, ``places`` changes it.
"""

from __future__ import annotations

import os

from . import onimport, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: What ``PROFILE_COVERAGE_DISABLE`` calls them, the module, and what changes it in ``places``: ``change_<that>``.
_MODULES = (
    ("flask", "flask.app", "flask"),
    ("django", "django.core.wsgi", "django"),
    ("django", "django.core.asgi", "django_asgi"),
    ("gunicorn", "gunicorn.app.base", "gunicorn"),
    ("waitress", "waitress.server", "waitress"),
    ("werkzeug", "werkzeug.serving", "werkzeug"),
    ("wsgiref", "wsgiref.simple_server", "wsgiref"),
    ("uvicorn", "uvicorn.config", "uvicorn"),
    ("hypercorn", "hypercorn.utils", "hypercorn"),
    ("daphne", "daphne.server", "daphne"),
    ("granian", "granian.asgi", "granian_asgi"),
    ("granian", "granian.wsgi", "granian_wsgi"),
    ("rq", "rq", "rq"),
    ("celery", "celery.app.base", "celery"),
    ("dramatiq", "dramatiq.broker", "dramatiq"),
    ("huey", "huey.api", "huey"),
    ("arq", "arq.worker", "arq"),
)
_installed = False


def install() -> None:
    """Wait for the modules. Once, and only where the agent is switched on.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    global _installed  # noqa: PLW0603 - the process has one `sys.meta_path`
    if _installed:
        return
    _installed = True
    disabled: frozenset[str] = frozenset()
    if os.environ.get(variables.DISABLE):
        from . import settings

        disabled = settings.disabled()
    onimport.install({module: _change(change) for name, module, change in _MODULES if name not in disabled})


def _change(name: str) -> onimport.Change:
    def change(module: ModuleType) -> None:
        from . import places

        getattr(places, f"change_{name}")(module)

    return change
