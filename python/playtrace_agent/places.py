"""Where apps without a line of ours are found: each function here changes one module, when it is imported.

An app can come by more than one of these places. A request is traced by the outermost middleware.
"""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import runtime, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def served(app: Any) -> Any:
    """Return what a server is to call instead of an app.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    from .wsgi import TraceMiddleware

    # Whatever a server takes for "no app", it says itself.
    if isinstance(app, TraceMiddleware) or not callable(app) or _wraps_itself(app):
        return app
    if _is_asynchronous(app):
        # gunicorn hands it on to a worker of uvicorn's.
        return served_asgi(app)
    if not runtime.start("web"):
        return app
    _follow_jobs()
    return TraceMiddleware(app)


def served_asgi(app: Any) -> Any:
    """Return what an ASGI server is to call instead of an app.

    Raises:
        SettingsError: The environment asks for what can't be done.
    """
    from .asgi import TraceMiddleware

    if isinstance(app, TraceMiddleware) or not callable(app) or not runtime.start("web"):
        return app
    _follow_jobs()
    return TraceMiddleware(app)


def _wraps_itself(app: Any) -> bool:
    """Say whether it is a Flask app: it has more to check before it is traced."""
    flask = sys.modules.get("flask.app")
    kind = getattr(flask, "Flask", None)
    return isinstance(kind, type) and isinstance(app, kind) and "flask" not in settings.disabled()


def _is_asynchronous(app: Any) -> bool:
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


def _follow_jobs() -> None:
    """Tag jobs where RQ is installed. At once, as ``init_app`` does: the doctor looks whether a web process can."""
    from . import rq

    rq.install_queue_if_present()


def change_flask(module: ModuleType) -> None:
    """Trace every Flask app, from the outside of whatever its factory puts around it."""
    from . import flask

    kind: Any = module.Flask
    make, call = kind.__init__, kind.__call__

    @functools.wraps(make)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it is one
        make(self, *args, **kwargs)
        # Faults of the settings stop the start, as they do where the app switches the agent on.
        if runtime.start("web", Path(self.root_path)):
            _follow_jobs()

    @functools.wraps(call)
    def __call__(self: Any, environ: Any, start_response: Any) -> Any:  # noqa: N807 - it is one
        if not flask.has(self):
            flask.init_app(self)
        return call(self, environ, start_response)

    kind.__init__, kind.__call__ = __init__, __call__


def change_django(module: ModuleType) -> None:
    """Trace what Django makes for servers."""
    original = module.get_wsgi_application

    @functools.wraps(original)
    def get_wsgi_application() -> Any:
        return served(original())

    module.get_wsgi_application = get_wsgi_application  # type: ignore[attr-defined]


def change_django_asgi(module: ModuleType) -> None:
    """Trace what Django makes for servers of the other kind."""
    original = module.get_asgi_application

    @functools.wraps(original)
    def get_asgi_application() -> Any:
        return served_asgi(original())

    module.get_asgi_application = get_asgi_application  # type: ignore[attr-defined]


def change_gunicorn(module: ModuleType) -> None:
    """Trace what gunicorn's workers serve."""
    application: Any = module.BaseApplication
    original = application.wsgi

    @functools.wraps(original)
    def wsgi(self: Any) -> Any:
        # It keeps what it has loaded, for the next worker.
        self.callable = served(original(self))
        return self.callable

    application.wsgi = wsgi


def change_waitress(module: ModuleType) -> None:
    """Trace what waitress serves."""
    _take(module.BaseWSGIServer, "__init__", 1, "application")


def change_werkzeug(module: ModuleType) -> None:
    """Trace what Werkzeug's server serves."""
    _take(module.BaseWSGIServer, "__init__", 3, "app")


def change_wsgiref(module: ModuleType) -> None:
    """Trace what the standard library's server serves."""
    _take(module.WSGIServer, "set_app", 1, "application")


def change_uvicorn(module: ModuleType) -> None:
    """Trace what uvicorn serves, by whichever interface: its adapters are within."""
    config: Any = module.Config
    original = config.load

    @functools.wraps(original)
    def load(self: Any) -> None:
        original(self)
        self.loaded_app = served_asgi(self.loaded_app)

    config.load = load


def change_hypercorn(module: ModuleType) -> None:
    """Trace what hypercorn serves."""
    original: Any = module.wrap_app

    @functools.wraps(original)
    def wrap_app(app: Any, *args: Any, **kwargs: Any) -> Any:
        return original(served(app), *args, **kwargs)

    module.wrap_app = wrap_app  # type: ignore[attr-defined]


def change_daphne(module: ModuleType) -> None:
    """Trace what daphne serves, by its command and by Django's ``runserver`` where daphne has replaced that."""
    _take(module.Server, "__init__", 1, "application", served_asgi)


def change_granian_asgi(module: ModuleType) -> None:
    """Trace the ASGI apps that granian's workers call."""
    _take(module, "_callback_wrapper", 0, "callback", served_asgi)


def change_granian_wsgi(module: ModuleType) -> None:
    """Trace the WSGI apps that granian's workers call."""
    _take(module, "_callback_wrapper", 0, "callback")


def _take(owner: Any, function: str, index: int, name: str, instead: Callable[[Any], Any] = served) -> None:
    """Wrap a server's function, or method, that is given the app: as its argument of that index or name."""
    original = getattr(owner, function)

    @functools.wraps(original)
    def take(*args: Any, **kwargs: Any) -> Any:
        if name in kwargs:
            kwargs[name] = instead(kwargs[name])
        elif len(args) > index:
            args = (*args[:index], instead(args[index]), *args[index + 1 :])
        return original(*args, **kwargs)

    setattr(owner, function, take)


def change_rq(_module: ModuleType) -> None:
    """Tag the jobs of apps, and trace those of workers from the moment that they begin to work."""
    from rq.worker import BaseWorker

    worker: Any = BaseWorker
    original = worker.work

    @functools.wraps(original)
    def work(self: Any, *args: Any, **kwargs: Any) -> Any:
        from . import rq

        rq.install()
        return original(self, *args, **kwargs)

    worker.work = work
    if runtime.started():
        _follow_jobs()


def change_celery(_module: ModuleType) -> None:
    """Tag the tasks of apps, and trace those of workers."""
    from . import celery

    celery.install()


def change_dramatiq(_module: ModuleType) -> None:
    """Tag the messages of apps, and trace those of workers."""
    from . import dramatiq

    dramatiq.install()


def change_huey(_module: ModuleType) -> None:
    """Tag the tasks of apps, and trace those of consumers."""
    from . import huey

    huey.install()


def change_arq(_module: ModuleType) -> None:
    """Tag the jobs of apps, and trace those of workers."""
    from . import arq

    arq.install()
