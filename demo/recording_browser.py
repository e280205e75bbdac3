"""A person at a browser, as far as the app and the browser recorder can tell.

`Browser` logs in, sends requests, waits for jobs, and writes what it does as events the way WEPPcloud's
recorder does. Log-in is not part of a recording, and cookies and bodies of answers never get into it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

_PREVIEW = 256
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_POLL_SECONDS = 0.8
_JOB_SECONDS = 120.0


class RecordingError(Exception):
    """The app did not do what the session expects of it."""


@dataclass
class Upload:
    """A file that goes along with a form, and the kind of seed it becomes."""

    field: str
    kind: str
    filename: str
    content: str


@dataclass
class Browser:
    """One person with one run open; `events` is the recording so far."""

    app_url: str
    run_id: str
    config: str
    session_id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[tuple[str, str], str] = field(default_factory=dict)
    recording: bool = True
    last_job_status: str = ""
    _cookie: str = ""
    _count: int = 0

    # Logging in, unrecorded ----------------------------------------------------------------------

    def log_in(self, email: str, password: str) -> None:
        """Log in through the form. The session cookie is marked Secure, so it is carried by hand over http."""
        form = self._exchange("GET", f"{self.app_url}/login")
        token = _TOKEN.search(form.text)
        if token is None:
            raise RecordingError("the log-in form has no token")
        fields = {"email": email, "password": password, "remember": "true", "csrf_token": token[1]}
        self._cookie = form.cookies["session"]
        answer = self._exchange("POST", f"{self.app_url}/login", data=fields)
        if answer.status_code != 302:
            raise RecordingError(f"log-in refused: {answer.status_code}")
        self._cookie = answer.cookies["session"]

    def create_run(self) -> None:
        """Make the run: this happens on another page, before the recorder starts."""
        answer = self._exchange("POST", f"{self.app_url}/create/{self.config}", data={"name": self.run_id})
        if answer.status_code != 302:
            raise RecordingError(f"can't create {self.run_id}: {answer.status_code} {answer.text}")

    # What a page's code does ---------------------------------------------------------------------

    def get(self, path: str, expect: int = 200, **query: str | float) -> requests.Response:
        """GET a page or resource of the run."""
        suffix = f"?{urlencode(query)}" if query else ""
        return self._send("GET", self._run_url(path) + suffix, expect, meta={"hasBody": False})

    def get_when_ready(self, path: str) -> requests.Response:
        """GET a resource until it is there, as a page does; the 404s are recorded too."""
        deadline = time.monotonic() + _JOB_SECONDS
        while time.monotonic() < deadline:
            answer = self._send("GET", self._run_url(path), None, meta={"hasBody": False})
            if answer.status_code == 200:
                return answer
            time.sleep(_POLL_SECONDS)
        raise RecordingError(f"{path} never came")

    def post_json(self, path: str, body: Mapping[str, Any], expect: int = 200) -> requests.Response:
        """POST a JSON object, and wait for the job it started, if any."""
        text = json.dumps(body)
        meta = {
            "hasBody": True,
            "bodyType": "json",
            "jsonPayload": text,
            "bodyPreview": text[:_PREVIEW],
            "bodyLength": len(text),
        }
        headers = {"Content-Type": "application/json"}
        answer = self._send("POST", self._run_url(path), expect, meta=meta, data=text.encode(), headers=headers)
        self._await_job(answer)
        return answer

    def put_text(self, path: str, text: str) -> requests.Response:
        """PUT plain text."""
        meta = {"hasBody": True, "bodyType": "text", "bodyPreview": text[:_PREVIEW], "bodyLength": len(text)}
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return self._send("PUT", self._run_url(path), 200, meta=meta, data=text.encode(), headers=headers)

    def delete(self, path: str) -> requests.Response:
        """DELETE something of the run."""
        return self._send("DELETE", self._run_url(path), 200, meta={"hasBody": False})

    def post_form(self, path: str, fields: Mapping[str, str], upload: Upload | None = None) -> requests.Response:
        """POST a multipart form, with a file if one is given, and wait for the job it started, if any."""
        parts: list[tuple[str, Any]] = [(key, (None, value)) for key, value in fields.items()]
        keys = list(fields)
        if upload is not None:
            parts.append((upload.field, (upload.filename, upload.content.encode(), "application/octet-stream")))
            keys.append(upload.field)
            self.uploads[upload.kind, upload.filename] = upload.content
        meta: dict[str, Any] = {"hasBody": True, "bodyType": "form-data", "formKeys": keys, "formValues": dict(fields)}
        category = "file_upload" if upload is not None else "http_request"
        answer = self._send("POST", self._run_url(path), 200, meta=meta, category=category, files=parts)
        self._await_job(answer)
        return answer

    # The recorder --------------------------------------------------------------------------------

    def _run_url(self, path: str) -> str:
        return f"{self.app_url}/runs/{self.run_id}/{self.config}/{path}"

    def _exchange(self, method: str, url: str, **body: Any) -> requests.Response:
        with requests.Session() as session:
            # No proxy of the surroundings stands between this program and the loopback interface.
            session.trust_env = False
            headers = {**body.pop("headers", {}), "Cookie": f"session={self._cookie}" if self._cookie else ""}
            return session.request(method, url, headers=headers, allow_redirects=False, timeout=60, **body)

    def _send(
        self,
        method: str,
        url: str,
        expect: int | None,
        *,
        meta: dict[str, Any],
        category: str = "http_request",
        **body: Any,
    ) -> requests.Response:
        self._count += 1
        ident = f"{self.session_id}-{self._count:04}"
        params = [key for key, _ in parse_qsl(urlsplit(url).query)]
        request = {"method": method, "endpoint": url, "category": category, "params": params, "requestMeta": meta}
        self._note(ident, "request", request)
        began = time.monotonic()
        answer = self._exchange(method, url, **body)
        elapsed = round((time.monotonic() - began) * 1000.0)
        common = {"method": method, "endpoint": url, "durationMs": elapsed}
        if answer.ok:
            self._note(ident, "response", {**common, "status": answer.status_code, "ok": True})
        else:
            # The page's request helper throws for whatever is not 2xx, and the recorder sees the exception.
            detail = answer.json().get("error", "") if "json" in answer.headers.get("Content-Type", "") else ""
            failure = {
                "name": "HttpError",
                "message": f"Request failed with status {answer.status_code}",
                "status": answer.status_code,
                "detail": detail,
            }
            self._note(ident, "error", {**common, "error": failure})
        if expect is not None and answer.status_code != expect:
            raise RecordingError(f"{method} {url}: {answer.status_code}, not {expect}: {answer.text[:500]}")
        return answer

    def _note(self, ident: str, stage: str, what: Mapping[str, Any]) -> None:
        if not self.recording:
            return
        event = {
            "stage": stage,
            "id": ident,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "sessionId": self.session_id,
            "rootUrl": self.app_url,
            "runId": self.run_id,
            "config": self.config,
            "pup": None,
            "user": None,
        }
        self.events.append({**event, **what})

    def _await_job(self, answer: requests.Response) -> None:
        body = answer.json() if answer.ok else {}
        if "job_id" not in body:
            return
        root = self.app_url.removesuffix("/weppcloud")
        url = f"{root}/rq-engine/api/jobinfo/{body['job_id']}"
        deadline = time.monotonic() + _JOB_SECONDS
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            status = self._send("GET", url, 200, meta={"hasBody": False}).json()["status"]
            if status in ("finished", "failed"):
                self.last_job_status = status
                return
        raise RecordingError(f"job {body['job_id']} did not end within {_JOB_SECONDS:g} s")

    # Writing it down -----------------------------------------------------------------------------

    def write(self, capture: Path) -> None:
        """Write `events.jsonl` and the seeds of the uploads into `capture`."""
        capture.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in self.events)
        (capture / "events.jsonl").write_text(lines, encoding="utf-8")
        for (kind, filename), content in sorted(self.uploads.items()):
            seed = capture / "seed" / "uploads" / kind / filename
            seed.parent.mkdir(parents=True, exist_ok=True)
            seed.write_text(content, encoding="utf-8")
