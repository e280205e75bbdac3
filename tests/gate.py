"""A gate between the player and the app: requests of the run wait in front of it until it is opened.

A little profile is replayed in milliseconds. A test that wants to take a lock before the first request
needs that request to wait, whoever is quicker.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

_CHUNK = 65536
# A path of a run's pages; the log-in has none.
_OF_A_RUN = b"/runs/"
_PATIENCE = 120.0


class Gate:
    """Forwards TCP connections to the app; shut for requests of a run until `open`."""

    def __init__(self, app_url: str) -> None:
        target = urlsplit(app_url)
        assert target.hostname is not None
        assert target.port is not None
        self._app = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._opened = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets = ExitStack()
        self.url = target._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self._begin(self._accept)

    def open(self) -> None:
        """Let everything through from now on."""
        self._opened.set()

    def close(self) -> None:
        """Cut all connections, and wait until the gate's threads have ended."""
        self.open()
        # Closing it would leave `accept` waiting.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        accepting, *_ = self._threads
        accepting.join()
        self._listener.close()
        self._sockets.close()
        for thread in self._threads:
            thread.join()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                app = socket.create_connection(self._app)
                for end in (client, app):
                    self._sockets.callback(_hang_up, end)
                self._begin(self._forward, client, app, True)
                self._begin(self._forward, app, client, False)

    def _forward(self, source: socket.socket, sink: socket.socket, waits: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if waits and _OF_A_RUN in chunk:
                    self._opened.wait(_PATIENCE)
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
