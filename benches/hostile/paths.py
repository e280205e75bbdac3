"""Apps that lead through the agent's middleware or past it, by the path.

So both are measured in one process: two processes of the same program differ by some per cent for as long as they
live.
"""

from __future__ import annotations

from typing import Any

#: Through the middleware; past it; past it once more, which shows what two measurements of the same differ by.
TRACED, DIRECT, AGAIN = PATHS = ("/traced", "/direct", "/second")


def wsgi_by_path(traced: Any, direct: Any) -> Any:
    """Return an app that is one of the two, by the path."""
    apps = {TRACED: traced, DIRECT: direct, AGAIN: direct}
    return lambda environ, start_response: apps[environ["PATH_INFO"]](environ, start_response)


def asgi_by_path(traced: Any, direct: Any) -> Any:
    """Return an app that is one of the two, by the path."""
    apps = {TRACED: traced, DIRECT: direct, AGAIN: direct}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # Lifespan has no path.
        await apps.get(scope.get("path"), traced)(scope, receive, send)

    return app
