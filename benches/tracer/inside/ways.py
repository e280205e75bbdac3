"""The ways in which the same WSGI app is served: untraced, by the agent, and by what was used before."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from . import least

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Ways with no tracer of ours or of another kind around the app; SlipCover is started around the whole process, and
#: where the floor is measured, code objects are listened to.
UNTRACED = ("twin", "slipcover", "floor")
#: The agent, with its switch on; what differs is the environment and what is sent.
AGENT = ("agent", "never", "idle", "always")
COVERAGE = ("ctrace", "sysmon")


class PerRequestCoverage:
    """One `coverage.Coverage` for each request that carries the header, as was done before there was the agent."""

    def __init__(self, app: WSGIApplication, directory: Path, config: Path) -> None:
        self.app, self.directory, self.config = app, directory, config
        directory.mkdir(parents=True, exist_ok=True)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        slug = environ.get("HTTP_X_PROFILE_TRACE")
        if slug is None:
            return self.app(environ, start_response)
        import coverage

        tracer = coverage.Coverage(
            data_file=str(self.directory / f"{slug}.coverage"),
            data_suffix=True,
            config_file=str(self.config),
            context=f"profile:{slug}:{uuid4()}",
        )
        tracer.start()
        try:
            return self.app(environ, start_response)
        finally:
            tracer.stop()
            tracer.save()


class BareApp:
    """An app that does nothing but call what the environ brings along."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        environ["bench.answer"] = environ["bench.body"]()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]


def serve(way: str, app: Any, *, flask: bool, recorder: Any = None) -> WSGIApplication:
    """Put what the way needs around a Flask app or a bare one; `recorder` is the least one, where it listens."""
    if way in UNTRACED:
        served: WSGIApplication = app
    elif way in least.WAYS:
        served = recorder.wrap(app)
    elif way in COVERAGE:
        served = PerRequestCoverage(app, Path(os.environ["BENCH_COVERAGE_DIR"]), Path(os.environ["BENCH_CONFIG"]))
    elif flask:
        import playtrace_agent.flask

        playtrace_agent.flask.init_app(app)
        served = app
    elif way == "off":
        import playtrace_agent.wsgi

        served = playtrace_agent.wsgi.wrap(app)
    else:
        import playtrace_agent.wsgi

        served = playtrace_agent.wsgi.TraceMiddleware(app)
    return served


def traces_of_the_agent() -> list[str]:
    """What the agent has left in this process, by what can be seen: modules, wrappers, monitoring tools."""
    modules = ("playtrace_agent._native", "playtrace_agent.propagation")
    found: list[str] = [name for name in modules if name in sys.modules]
    import subprocess
    import threading
    from concurrent.futures import ThreadPoolExecutor

    places: tuple[tuple[object, str], ...] = (
        (threading.Thread, "start"),
        (threading.Thread, "_bootstrap_inner"),
        (ThreadPoolExecutor, "submit"),
        (subprocess.Popen, "__init__"),
    )
    for owner, name in places:
        if hasattr(getattr(owner, name), "__wrapped__"):
            found.append(f"{owner!r}.{name} is wrapped")
    loader: Any = importlib.import_module("importlib._bootstrap_external")
    if not isinstance(loader._LoaderBasics.exec_module, types.FunctionType):
        found.append("exec_module is wrapped")
    for tool in range(6):
        holder = sys.monitoring.get_tool(tool)
        if holder is not None:
            found.append(f"monitoring tool {tool} is {holder}")
    return found


def environ_of(path: str, headers: dict[str, str], body: Callable[[], object] | None) -> WSGIEnvironment:
    """A GET request as a server hands it over."""
    import io

    environ: WSGIEnvironment = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "bench.body": body,
    }
    for name, value in headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
