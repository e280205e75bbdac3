"""An app whose log fails: its handlers and filters raise. Requests are answered and traced all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asgi_harness import APP, HARNESS

if TYPE_CHECKING:
    from conftest import Workspace

#: What an app's filter raises for records that are not its own.
BREAK = """
import logging

class Broken(logging.Filter):
    def filter(self, record):
        raise AttributeError("no user")

def break_log():
    log = logging.getLogger("playtrace_agent")
    log.setLevel("LEVEL")
    log.addFilter(Broken())
"""

#: The status of each answer; each is for a slug.
WAYS = {
    "asgi": HARNESS
    + BREAK
    + """
async def statuses(slugs):
    target = trace(app.plain)
    break_log()
    return [(await call(target, slug)).status for slug in slugs]

found = asyncio.run(statuses(SLUGS))
""",
    "wsgi": BREAK
    + """
from playtrace_agent.wsgi import TraceMiddleware

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]

def status(target, slug):
    seen = {}
    body = target({"HTTP_X_PROFILE_TRACE": slug}, lambda status, headers, exc_info=None: seen.update(headers))
    list(body)
    body.close() if hasattr(body, "close") else None
    return seen["X-Profile-Trace-Status"]

target = TraceMiddleware(app)
break_log()
found = [status(target, slug) for slug in SLUGS]
""",
}


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
@pytest.mark.parametrize("way", WAYS)
def test_a_log_that_fails_breaks_no_request(workspace: Workspace, way: str, level: str) -> None:
    workspace.write("app.py", APP)
    # The first and the tenth that are refused are told.
    slugs = ["p", "p", *["no/such"] * 11, "q"]
    driver = WAYS[way].replace("LEVEL", level).replace("SLUGS", repr(slugs))
    outcome = workspace.run(driver + "print(*(said[:20] for said in found), sep=chr(10))\n")
    refused = "off; X-Profile-Trace"
    assert outcome.out.splitlines() == ["on", "on", *[refused] * 11, "on"]
    for slug, requests in (("p", 2), ("q", 1)):
        assert len(outcome.wrote.of_kind(slug, "open")) == requests == len(outcome.wrote.of_kind(slug, "closed"))


def test_a_verdict_is_told_what_is_left_out_where_the_log_fails(workspace: Workspace) -> None:
    workspace.write("app.py", APP)
    driver = WAYS["asgi"].replace("LEVEL", "INFO").replace("SLUGS", "['p']")
    outcome = workspace.run(driver, env={"PROFILE_COVERAGE_DISABLE": "threads"})
    assert outcome.wrote.of_kind("p", "lost")
