"""Strangers by the thousand at a real server: each is answered and counted, and others are traced as ever."""

from __future__ import annotations

import http.client
import re
import signal
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from serving import LINES, STATUS, WORK, App, check, serving
from signing import SECRET, headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Workspace

WSGI = App(
    """
    import os
    from flask import Flask
    import work

    application = app = Flask(__name__)


    @app.get("/work/<slug>")
    def view(slug):
        return work.do(slug)


    @app.get("/room")
    def room():
        return f"{os.getpid()} {open('/proc/self/statm').read().split()[1]}"
    """,
    ("return work.do(slug)",),
    wrap="import playtrace_agent.flask\nplaytrace_agent.flask.init_app(application)\n",
)
ASGI = App(
    """
    import os
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    import work


    async def view(request):
        return PlainTextResponse(work.do(request.path_params["slug"]))


    async def room(request):
        return PlainTextResponse(f"{os.getpid()} {open('/proc/self/statm').read().split()[1]}")


    application = Starlette(routes=[Route("/work/{slug}", view), Route("/room", room)])
    """,
    ('return PlainTextResponse(work.do(request.path_params["slug"]))',),
    wrap="import playtrace_agent.asgi\napplication = playtrace_agent.asgi.wrap(application)\n",
)
SERVERS = {
    "gunicorn": (
        WSGI,
        [
            "-m",
            "gunicorn",
            "--worker-class",
            "gthread",
            "--workers",
            "2",
            "--threads",
            "4",
            "--bind",
            "127.0.0.1:{port}",
        ],
    ),
    "uvicorn": (ASGI, ["-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "--no-access-log"]),
}

#: In values of headers that must be found nowhere.
MARK = "mArKeD"
#: As many as a header may be long for both servers, nearly.
LONG = 7_000
CLIENTS = 6
#: Of each client: hostile requests, and one in so many that is not.
HOSTILE, HONEST_EACH = 80, 10
#: Kept, the headers of a round would take 410 pages, of all processes together.
PAGES_GROWN = 200
#: What threads and connections take for themselves ends after some rounds; what is kept does not.
ROUNDS = 5


def hostile(n: int, used: dict[str, str]) -> tuple[dict[str, str], str]:
    """Return the headers of a hostile request, and the code that it is refused with."""
    good = headers("ash", "r", str(n))
    kinds: list[tuple[dict[str, str], str]] = [
        ({"X-Profile-Trace": "ash", "X-Profile-Trace-Run": "r"}, "PT-GRANT-003"),
        (headers("ash", "r", str(n), secret=MARK * 4), "PT-GRANT-005"),
        (good | {"X-Profile-Trace": "birch"}, "PT-GRANT-005"),
        (headers("ash", "r", str(n), at=-4000), "PT-GRANT-006"),
        (used, "PT-GRANT-008"),
        (good | {"X-Profile-Trace-Signature": MARK * (LONG // len(MARK))}, "PT-GRANT-004"),
        (good | {"X-Profile-Trace-Signature": "v1=\xff\xfe\x80,\xe9"}, "PT-GRANT-004"),
        (dict.fromkeys(good, "9" * LONG), "PT-AGENT-001"),
        (good | {"X-Profile-Trace": f"../{MARK}{n}"}, "PT-AGENT-001"),
        (good | {"X-Profile-Trace": "\xff\x80\xc3\x28"}, "PT-AGENT-001"),
        (good | {"X-Profile-Trace-Run": f"{MARK}/{n}"}, "PT-AGENT-002"),
        (good | {"X-Profile-Trace-Step": "9" * LONG}, "PT-AGENT-006"),
    ]
    return kinds[n % len(kinds)]


class Client:
    """A kept connection."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[str, str | None]:
        """Send a request; the body and the trace status."""
        try:
            return self._get(path, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            # A kept connection that the server closed meanwhile: nobody got the request.
            self.connection.close()
            return self._get(path, headers)

    def _get(self, path: str, headers: dict[str, str] | None) -> tuple[str, str | None]:
        self.connection.request("GET", path, headers=headers or {})
        response = self.connection.getresponse()
        body = response.read().decode()
        assert response.status == 200, (response.status, body)
        return body, response.getheader(STATUS)


def honest(client: Client, n: int) -> Iterator[tuple[str, str | None]]:
    """Send an untraced request and one of each profile, signed; the profiles' statuses."""
    assert client.get("/work/cedar") == ("cedar", None)
    for slug in LINES:
        body, status = client.get(f"/work/{slug}", headers(slug, "r", str(n)))
        assert body == slug
        yield slug, status


def attack(url: str, number: int) -> tuple[Counter[str], list[tuple[str, str | None]]]:
    """Send one client's requests; how many were refused by code, and the statuses of the others."""
    client = Client(url)
    refused: Counter[str] = Counter()
    found: list[tuple[str, str | None]] = []
    first = number * HOSTILE
    # Good once.
    used = headers("ash", "used", "1")
    assert client.get("/work/ash", used) == ("ash", "on")
    for n in range(HOSTILE):
        sent, code = hostile(first + n, used)
        body, status = client.get("/work/birch", sent)
        assert body == "birch"
        assert status is not None
        assert status.startswith("off; "), (code, status)
        assert status.endswith(f"[{code}]"), (code, status)
        assert MARK not in status
        refused[code] += 1
        if n % HONEST_EACH == 0:
            found += honest(client, first // HONEST_EACH + n // HONEST_EACH + 1)
    client.connection.close()
    return refused, found


def rooms(url: str) -> dict[str, int]:
    """Return the pages of memory that each process has; the largest of what was seen."""
    found: dict[str, int] = {}
    for _ in range(24):
        client = Client(url)
        pid, pages = client.get("/room")[0].split()
        client.connection.close()
        found[pid] = max(found.get(pid, 0), int(pages))
    return found


def is_steady(pages: list[dict[str, int]]) -> bool:
    """Say whether the last round of requests has left next to nothing in memory."""
    if len(pages) < 2:
        return False
    before, after = pages[-2:]
    return before.keys() == after.keys() and sum(after.values()) - sum(before.values()) < PAGES_GROWN


@pytest.mark.parametrize("server", SERVERS)
def test_hostile_requests_among_others(workspace: Workspace, server: str) -> None:
    app, command = SERVERS[server]
    workspace.write("work.py", WORK)
    path = workspace.write("app.py", app.text)
    path.write_text(path.read_text() + app.wrap)
    env = {"PROFILE_TRACE_SECRET": SECRET}
    whole = [sys.executable, *command, "app:application"]
    # uvicorn ends by the other signal itself, and the boot record has the last word where a process ends in order.
    end = signal.SIGINT if server == "uvicorn" else signal.SIGTERM
    with serving(workspace, whole, end=end, env=env, refusing=True) as url:
        found: list[tuple[Counter[str], list[tuple[str, str | None]]]] = []
        pages: list[dict[str, int]] = []
        with ThreadPoolExecutor(CLIENTS) as pool:
            while not is_steady(pages):
                assert len(pages) < ROUNDS, f"memory grows with each round: {pages}"
                first = len(pages) * CLIENTS
                found += pool.map(attack, [url] * CLIENTS, range(first, first + CLIENTS))
                pages.append(rooms(url))
    refused = sum((refused for refused, _ in found), Counter[str]())
    assert refused.total() == len(pages) * CLIENTS * HOSTILE
    assert min(refused.values()) >= HOSTILE
    _compare(workspace, app, [one for _, statuses in found for one in statuses])
    _count(workspace, refused)
    said = (workspace.root / "server.log").read_text()
    lines = re.findall(r"not traced: GET /work/birch: .*\[(PT-\w+-\d+)\] \((\d+) so far in process (\d+)\)", said)
    # The first, the tenth, the hundredth … of each kind in each process, and nothing else.
    assert len(lines) == len(set(lines)) == said.count("not traced")
    assert {count for _, count, _ in lines} <= {"1", "10", "100", "1000"}
    for kept in (said.encode(), *(path.read_bytes() for path in workspace.data.rglob("*") if path.is_file())):
        assert MARK.encode() not in kept
        assert SECRET.encode() not in kept


def _compare(workspace: Workspace, app: App, answers: list[tuple[str, str | None]]) -> None:
    """Find what was signed, exactly, and no shard or ledger of anybody else."""
    assert {path.name for path in (workspace.data / ".playtrace").iterdir()} == {".boot", ".seen", *LINES}
    assert {path.name for path in (workspace.data / ".playtrace" / "ash").iterdir()} == {"r", "used"}
    assert {path.name.partition(".coverage.")[0] for path in workspace.look().shards()} == set(LINES)
    check(workspace, app, {slug: [status for name, status in answers if name == slug] for slug in LINES})


def _count(workspace: Workspace, refused: Counter[str]) -> None:
    """Find in the boot records of all processes how many were refused, by code."""
    last: dict[tuple[str, str], int] = {}
    for record in workspace.look().records(".boot", ""):
        if record["t"] == "refused":
            code = record["reason"].rpartition("[")[2].rstrip("]")
            assert MARK not in record["reason"]
            last[record["file"], code] = max(last.get((record["file"], code), 0), record["count"])
    told: Counter[str] = Counter()
    for (_, code), count in last.items():
        told[code] += count
    assert told == refused
