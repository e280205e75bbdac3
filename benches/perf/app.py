"""The app that is measured: requests that burn a known amount of processor time, and more when traced.

No agent is in it. What an agent costs is real and would be found, and then nobody would know what there was to find;
so a stand-in answers traced requests as an agent does, and burns `BENCH_PERF_PLANTED` of what the request itself burns.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Any

#: Rounds of PBKDF2 in a request: a tenth of a second and more. What server and connection take besides is not burnt
#: once more, and must be next to nothing: a planted 10 % would be less. Who plants more, or nothing, sets
#: `BENCH_PERF_ITERATIONS`.
ITERATIONS = int(os.environ.get("BENCH_PERF_ITERATIONS", "400000"))

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def burn(iterations: int) -> str:
    """Burn processor time: twice as many iterations take twice as long."""
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", iterations).hex() if iterations else ""


def work(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Do the work of a request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [burn(ITERATIONS).encode()]


def planted(app: _App, share: float) -> _App:
    """Wrap an app so that its traced requests burn `share` more."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_X_PROFILE_TRACE" not in environ:
            return app(environ, start_response)
        burn(round(ITERATIONS * share))

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, ("X-Profile-Trace-Status", "on")], *more)

        return app(environ, start)

    return wrapped


application = planted(work, float(os.environ.get("BENCH_PERF_PLANTED", "0")))
