"""Judges a run as the program does: with the player's records beside the agent's, by `playtrace combine`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Workspace
    from scenario import Outcome

REPOSITORY = Path(__file__).resolve().parents[2]
#: A dead process of this machine: the player has ended when a run is judged.
PLAYER = {"pid": 2**22 + 1, "start": 1}

#: What a driver imports to answer requests in its own process, as a server would: `driver_client.py` of the app.
CLIENT = """
import json
import logging
import sys
import playtrace_agent.wsgi

logging.basicConfig(level=logging.WARNING, format="LOG %(levelname)s %(message)s")


class Client:
    def __init__(self, app):
        self.app = playtrace_agent.wsgi.TraceMiddleware(app)
        self.statuses = []

    def get(self, path="/", slug="p", run="r"):
        seen = []
        self.statuses.append(None)
        step = len(self.statuses)
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_X_PROFILE_TRACE": slug,
                   "HTTP_X_PROFILE_TRACE_STEP": str(step)}
        if run is not None:
            environ["HTTP_X_PROFILE_TRACE_RUN"] = run
        body = self.app(environ, lambda line, headers, exc_info=None: seen.extend(headers))
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        self.statuses[-1] = dict(seen)["X-Profile-Trace-Status"]
        return content

    def done(self):
        print(json.dumps(self.statuses), flush=True)
"""

#: A driver whose requests each call the function of `flow.py` that their path names.
DRIVER = """
import flow
from driver_client import Client


def app(environ, start_response):
    start_response("200 OK", [])
    getattr(flow, environ["PATH_INFO"].strip("/"))()
    return []


client = Client(app)
"""


@dataclass(frozen=True)
class Judged:
    """What `playtrace combine --profile` says of a run."""

    code: int
    status: str
    reasons: list[str]
    notes: list[str]
    out: str

    def names(self, *words: str) -> bool:
        """Say whether one reason holds all these words, in this order."""
        pattern = ".*".join(re.escape(word) for word in words)
        return any(re.search(pattern, reason) for reason in self.reasons)


def program() -> Path:
    """Return the built program; `PLAYTRACE_TEST_PROGRAM` names another one."""
    path = Path(os.environ.get("PLAYTRACE_TEST_PROGRAM", REPOSITORY / "target" / "release" / "playtrace"))
    if not path.is_file():
        pytest.fail(f"{path} is not there: `make program` builds it, or set PLAYTRACE_TEST_PROGRAM")
    return path


def statuses(outcome: Outcome) -> list[str | None]:
    """Return the trace statuses of a driver's requests: what `Client.done` printed."""
    found: list[str | None] = json.loads(outcome.out.splitlines()[-1])
    return found


def logged(outcome: Outcome) -> list[str]:
    """Return what a driver's `Client` let the agent log at WARNING and above."""
    return [line for line in outcome.err.splitlines() if line.startswith("LOG ")]


def judge(
    workspace: Workspace,
    answers: Sequence[str | None] | None,
    *,
    slug: str = "p",
    run: str = "r",
    data: Path | None = None,
    keep: bool = False,
) -> Judged:
    """Merge a run and read its verdict.

    With `answers`, as if the player had sent that many steps and got these trace statuses (`None`: no answer). Without,
    nobody says what was asked of the app, and the best verdict is *consistent*. With `keep`, the shards stay.
    """
    manifest = workspace.root / f"{run}.manifest"
    argv = [str(program()), "combine", "--profile", slug, "--run", run, str(data or workspace.data)]
    argv += ["--keep"] if keep else []
    if answers is not None:
        _write_manifest(manifest, slug, run, answers)
        argv += ["--manifest", str(manifest)]
    done = subprocess.run(argv, cwd=workspace.root, capture_output=True, text=True, timeout=60, check=False)
    document = _document(data or workspace.data, slug, done.stdout + done.stderr)
    return Judged(
        done.returncode, document["status"], document["reasons"], document.get("notes", []), done.stdout + done.stderr
    )


def _document(data: Path, slug: str, said: str) -> dict[str, Any]:
    path = data / f"{slug}.verdict.json"
    if not path.is_file():
        pytest.fail(f"there is no verdict:\n{said}")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def _write_manifest(path: Path, slug: str, run: str, answers: Sequence[str | None]) -> None:
    process = {"host": os.uname().nodename, **PLAYER}
    records: list[dict[str, Any]] = [
        {"t": "boot", "version": 1, "process": process, "ppid": 1, "role": "player", "program": "a test"},
        {"t": "manifest", "version": 1, "profile": slug, "run": run, "steps": len(answers), "base_url": "http://app",
         "command": "a test"},
    ]  # fmt: skip
    for step, trace in enumerate(answers, 1):
        records.append({"t": "sent", "step": step, "method": "GET", "target": f"/{step}"})
        answered: dict[str, Any] = {"t": "answered", "step": step}
        records.append(answered | ({} if trace is None else {"status": 200, "trace": trace}))
    failures = [f"step {step}: no answer" for step, trace in enumerate(answers, 1) if trace is None]
    records.append(
        {"t": "end", "outcome": "failed", "failures": failures} if failures else {"t": "end", "outcome": "passed"}
    )
    now = time.time_ns() // 1_000_000
    texts = (json.dumps({"at": now, **record}, separators=(",", ":")).encode() for record in records)
    path.write_bytes(b"".join(b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text) for text in texts))
