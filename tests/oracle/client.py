"""A test client that sends a recorded session to the app. It shares nothing with the player.

It reads `capture/events.jsonl` itself, logs in, gives the run a new id, rebuilds forms from the seed
files, and waits for background jobs after every answer that names one.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests

_NEVER_SENT = re.compile(r"/rq-engine/api/jobinfo/|/rq/api/jobstatus/|/elevationquery/?$")
_RUN_ID = re.compile(r"/runs/([^/?]+)/")
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_NOT_YET = re.compile(r"/resources/")

# Which seed folder feeds which file field, from the demo's README.
_FILE_FIELDS = {
    "input_upload_dem": "dem",
    "input_upload_sbs": "sbs",
    "input_upload_cli": "cli",
    "input_upload_cover_transform": "cover_transform",
    "input_upload_landuse": "landuse",
    "input_upload_ash_load": "ash",
    "scenarios[0][sbs_file]": "omni",
}

_JOB_SECONDS = 180.0
_POLL_SECONDS = 0.05
_ENDED = ("finished", "failed", "stopped", "canceled")


class ClientError(Exception):
    """The session could not be sent as recorded."""


@dataclass
class Sent:
    """What became of a session."""

    statuses: list[tuple[str, str, int, int]] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)

    @property
    def surprises(self) -> list[str]:
        """Requests whose answer is not the recorded one."""
        return [
            f"{method} {path}: {status}, recorded {recorded}"
            for method, path, recorded, status in self.statuses
            if status != recorded
        ]


@dataclass(frozen=True)
class Account:
    """Who logs in."""

    email: str
    password: str


class Sender:
    """Sends one profile to one app."""

    def __init__(self, profile: Path, base_url: str, run_root: Path, account: Account) -> None:
        self._profile = profile
        self._base = base_url.rstrip("/")
        origin = urlsplit(self._base)
        self._origin = f"{origin.scheme}://{origin.netloc}"
        self._run_root = run_root
        self._account = account
        self._cookies: dict[str, str] = {}
        self._http = requests.Session()
        self._http.trust_env = False

    def send(self, tick: Callable[[], None] = lambda: None) -> Sent:
        """Log in and send every recorded request that was answered with 2xx, in order."""
        recorded = list(replayable(self._profile / "capture" / "events.jsonl"))
        run_id = next(found[1] for event, _ in recorded if (found := _RUN_ID.search(event["endpoint"])))
        sandbox = uuid4()
        directory = self._run_root / str(sandbox)
        directory.mkdir(parents=True)
        for extra in (self._profile / "run", self._profile / "capture" / "seed" / "config"):
            if extra.is_dir():
                shutil.copytree(extra, directory, dirs_exist_ok=True)
        self._log_in()
        sent = Sent()
        for event, status in recorded:
            tick()
            answer = self._send_one(event, run_id, f"profile;;tmp;;{sandbox}")
            sent.statuses.append((event["method"], event["endpoint"], status, answer.status_code))
            self._wait_for_job(answer, sent)
        return sent

    # Requests ------------------------------------------------------------------------------------

    def _request(self, method: str, url: str, **options: Any) -> requests.Response:
        # The session cookie is marked Secure, and requests would not send it over http.
        headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in self._cookies.items())}
        headers |= options.pop("headers", {})
        answer = self._http.request(method, url, headers=headers, timeout=120, allow_redirects=False, **options)
        cookies = SimpleCookie(answer.headers.get("Set-Cookie", ""))
        self._cookies |= {key: morsel.value for key, morsel in cookies.items()}
        self._http.cookies.clear()
        return answer

    def _log_in(self) -> None:
        form = self._request("GET", f"{self._base}/login")
        token = _CSRF.search(form.text)
        if token is None:
            raise ClientError("no csrf_token in the log-in form")
        fields = {"email": self._account.email, "password": self._account.password}
        answer = self._request("POST", f"{self._base}/login", data=fields | {"remember": "y", "csrf_token": token[1]})
        if answer.status_code != 302:
            raise ClientError(f"log-in answered {answer.status_code}")

    def _send_one(self, event: dict[str, Any], run_id: str, sandbox_id: str) -> requests.Response:
        def mine(text: str) -> str:
            return text.replace(run_id, sandbox_id)

        recorded = urlsplit(event["endpoint"])
        path = recorded.path + (f"?{recorded.query}" if recorded.query else "")
        url = self._origin + mine(path)
        options = self._body(event, mine)
        options.setdefault("headers", {})["X-Profile-Trace"] = self._profile.name
        deadline = time.monotonic() + _JOB_SECONDS
        while True:
            answer = self._request(event["method"], url, **options)
            if answer.status_code != 404 or not _NOT_YET.search(path) or time.monotonic() > deadline:
                return answer
            time.sleep(_POLL_SECONDS)

    def _body(self, event: dict[str, Any], mine: Callable[[str], str]) -> dict[str, Any]:
        meta = event.get("requestMeta") or {}
        if not meta.get("hasBody"):
            return {}
        kind = meta["bodyType"]
        if kind == "json":
            return {"data": mine(meta["jsonPayload"]).encode(), "headers": {"Content-Type": "application/json"}}
        if kind == "text":
            text = meta["bodyPreview"]
            if len(text.encode()) != meta["bodyLength"]:
                raise ClientError(f"{event['endpoint']}: only a part of its text was recorded")
            return {"data": mine(text).encode(), "headers": {"Content-Type": "text/plain;charset=UTF-8"}}
        if kind != "form-data":
            raise ClientError(f"{event['endpoint']}: a body of type {kind!r}")
        values: dict[str, Any] = meta.get("formValues") or {}
        parts: list[tuple[str, Any]] = []
        for key in meta.get("formKeys") or list(values):
            if key in values:
                several = values[key] if isinstance(values[key], list) else [values[key]]
                parts += [(key, (None, mine(str(value)))) for value in several]
            else:
                folder = self._profile / "capture" / "seed" / "uploads" / _FILE_FIELDS[key]
                (seed,) = folder.iterdir()
                parts.append((key, (seed.name, seed.read_bytes())))
        return {"files": parts}

    # Jobs ----------------------------------------------------------------------------------------

    def _wait_for_job(self, answer: requests.Response, sent: Sent) -> None:
        if not answer.headers.get("Content-Type", "").startswith("application/json"):
            return
        document = answer.json()
        ident = document.get("job_id") if isinstance(document, dict) else None
        if ident is None:
            return
        deadline = time.monotonic() + _JOB_SECONDS
        while True:
            info = self._request("GET", f"{self._origin}/rq-engine/api/jobinfo/{ident}").json()
            if info["status"] in _ENDED:
                sent.jobs[ident] = info["status"]
                return
            if time.monotonic() > deadline:
                raise ClientError(f"job {ident} is still {info['status']} after {_JOB_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)


def replayable(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The requests that are sent again, each with its recorded status."""
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    statuses = {event["id"]: event["status"] for event in events if event["stage"] == "response"}
    for event in events:
        if event["stage"] != "request" or _NEVER_SENT.search(urlsplit(event["endpoint"]).path):
            continue
        status = statuses.get(event["id"], 0)
        if 200 <= status < 300:
            yield event, status
