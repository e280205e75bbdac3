"""Apps that ask for signatures, called as a server would; and what calls them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from signing import SECRET

if TYPE_CHECKING:
    import pytest
    from conftest import Workspace

HERE = Path(__file__).parent
#: White space around it does not count.
ENV = {"PROFILE_TRACE_SECRET": f" {SECRET}\n"}

#: Calls apps as a server would: WSGI and ASGI by the same function.
HARNESS = """
import asyncio, json, logging, os, sys
import playtrace_agent.asgi, playtrace_agent.wsgi
import app
from signing import SECRET, headers, sign

logging.basicConfig(level=logging.INFO, format="LOG %(levelname)s %(message)s")


def wsgi(headers, peer="127.0.0.1", path="/x"):
    seen = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": peer}
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    body = list(WSGI(environ, lambda status, headers: seen.extend([("", status), *headers])))
    assert body == [b"done"] and seen[0][1] == "200 OK", (body, seen)
    return dict(seen).get("X-Profile-Trace-Status")


def asgi(headers, peer="127.0.0.1", path="/x"):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "client": (peer, 1234) if peer else None,
             "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]}
    asyncio.run(ASGI(scope, None, send))
    assert [message.get("body", message.get("status")) for message in sent] == [200, b"done"], sent
    return dict(sent[0]["headers"]).get(b"x-profile-trace-status", b"").decode() or None


WSGI, ASGI = playtrace_agent.wsgi.TraceMiddleware(app.wsgi), playtrace_agent.asgi.TraceMiddleware(app.asgi)
call = globals()[sys.argv[1] if len(sys.argv) > 1 else os.environ["CALL"]]
"""
APP = """
def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [work()]


async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": work()})


def work():
    return b"done"
"""
LINE = APP.lstrip("\n").splitlines().index('    return b"done"') + 1


def prepare(workspace: Workspace, protocol: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Put an app there whose headers must be signed, called by one of the two protocols."""
    monkeypatch.setenv("CALL", protocol)
    workspace.write("app.py", APP)
    workspace.write("signing.py", (HERE / "signing.py").read_text())
    return workspace
