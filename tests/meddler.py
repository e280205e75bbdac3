"""A proxy before the app that does to headers what proxies of real stacks do to them."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Meddling:
    """What the proxy does."""

    # Headers of requests and answers that go no further, in lower case.
    drops: set[str] = field(default_factory=set)
    # Headers of requests that a redirect led to, and of no others.
    drops_when_redirected: set[str] = field(default_factory=set)
    clock_ahead: timedelta = timedelta()


class Meddler:
    """The proxy: `url` is the app's, through it."""

    def __init__(self, app_url: str, meddling: Meddling) -> None:
        target = urlsplit(app_url)
        assert target.hostname is not None
        assert target.port is not None
        self.app = (target.hostname, target.port)
        self.meddling = meddling
        # Paths that an answer has led to.
        self.led_to: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = target._replace(netloc=f"127.0.0.1:{self._server.server_port}").geturl()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def dropped(self, target: str) -> set[str]:
        """The request headers that don't go on to this path and query."""
        if target in self.led_to:
            return self.meddling.drops | self.meddling.drops_when_redirected
        return self.meddling.drops

    def answer_header(self, name: str, value: str) -> tuple[str, str] | None:
        """An answer's header as it goes back, if it does."""
        key = name.lower()
        if key in self.meddling.drops:
            return None
        if key == "location":
            self.led_to.add(value)
        if key == "date":
            value = format_datetime(parsedate_to_datetime(value) + self.meddling.clock_ahead, usegmt=True)
        return name, value


def _handler(meddler: Meddler) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length) if length else None
            dropped = meddler.dropped(self.path) | {"connection"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            upstream = http.client.HTTPConnection(*meddler.app, timeout=30)
            try:
                upstream.request(self.command, self.path, body=body, headers=headers)
                answer = upstream.getresponse()
                content = answer.read()
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    kept = meddler.answer_header(name, value)
                    if kept is not None and name.lower() not in _OF_A_CONNECTION:
                        self.send_header(*kept)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            finally:
                upstream.close()

        do_GET = forward  # noqa: N815 - the names that the base class looks for
        do_POST = forward  # noqa: N815
        do_PUT = forward  # noqa: N815
        do_DELETE = forward  # noqa: N815

        def log_message(self, *_what: Any) -> None:
            pass

    return Handler
