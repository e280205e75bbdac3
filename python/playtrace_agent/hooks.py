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

#: The modules, by what ``PROFILE_COVERAGE_DISABLE`` calls them.
_MODULES = {
    "flask": "flask.app",
    "django": "django.core.wsgi",
    "gunicorn": "gunicorn.app.base",
    "waitress": "waitress.server",
    "werkzeug": "werkzeug.serving",
    "wsgiref": "wsgiref.simple_server",
    "uvicorn": "uvicorn.config",
    "hypercorn": "hypercorn.utils",
    "rq": "rq",
    "celery": "celery.app.base",
    "dramatiq": "dramatiq.broker",
    "huey": "huey.api",
    "arq": "arq.worker",
}
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
    onimport.install({module: _change(name) for name, module in _MODULES.items() if name not in disabled})


def _change(name: str) -> onimport.Change:
    def change(module: ModuleType) -> None:
        from . import places

        getattr(places, f"change_{name}")(module)

    return change
