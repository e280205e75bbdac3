"""What gunicorn serves: the app under its prefix, the job engine at the host's root."""

from __future__ import annotations

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from weppdemo.app import create_app
from weppdemo.engine import create_engine_app

application = DispatcherMiddleware(
    NotFound(),
    {"/weppcloud": create_app(), "/rq-engine": create_engine_app()},
)
