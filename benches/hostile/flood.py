"""Sends hostile requests as fast as they are answered: `python -m benches.hostile.flood PORT KIND`.

A line on its input, a path, begins; another one ends; then it says how many were answered.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

from . import headers
from .paths import PATHS

CONNECTIONS = 4
_PREPARED = 600
_KINDS = {"hostile": headers.hostile, "malformed": headers.malformed}


def request_of(path: str, found: dict[str, str]) -> bytes:
    """Return a request that keeps its connection."""
    lines = [f"GET {path} HTTP/1.1", "Host: app", *(f"{name}: {value}" for name, value in found.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Connection:
    """A kept connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> None:
        """Send a request, and wait for the end of its answer.

        Raises:
            ConnectionError: The answer is none, or not the app's.
        """
        self.socket.sendall(request)
        answer = self.socket.recv(65536)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        head = answer[:end].lower()
        if not head.startswith(b"http/1.1 200 "):
            raise ConnectionError(answer[:200])
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        got = len(answer)
        while got < end + 4 + length:
            got += len(self._more())
        if b"\r\nconnection: close" in head:
            self.socket.close()
            self._connect()

    def _more(self) -> bytes:
        found = self.socket.recv(65536)
        if not found:
            raise ConnectionError("the server closed a connection in the middle of an answer")
        return found


def main() -> None:
    """Flood, whenever asked to."""
    port, prepare = int(sys.argv[1]), _KINDS[sys.argv[2]]
    of_path = {path: [request_of(path, prepare(number)) for number in range(_PREPARED)] for path in PATHS}
    for path in sys.stdin:
        over, counts, requests = threading.Event(), [0] * CONNECTIONS, of_path[path.strip()]

        def send(which: int, over: threading.Event, counts: list[int], requests: list[bytes]) -> None:
            connection, number = Connection(port), which
            while not over.is_set():
                connection.ask(requests[number % _PREPARED])
                number += CONNECTIONS
                counts[which] += 1
            connection.socket.close()

        threads = [threading.Thread(target=send, args=(which, over, counts, requests)) for which in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        sys.stdin.readline()
        over.set()
        for thread in threads:
            thread.join()
        print(json.dumps(sum(counts)), flush=True)


if __name__ == "__main__":
    main()
