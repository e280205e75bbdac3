"""Work that waits: a file, a socket, and time that passes."""

from __future__ import annotations

import socket
import tempfile
import time


def echo(rounds: int) -> int:
    """Send something through a socket pair and read it back."""
    near, far = socket.socketpair()
    with near, far:
        count = 0
        for number in range(rounds):
            near.sendall(b"%d" % number)
            count += len(far.recv(64))
        return count


def work() -> tuple[int, int]:
    """A request that reads a file, asks somebody, and waits for 2 ms."""
    with tempfile.TemporaryFile() as file:
        file.write(b"line\n" * 500)
        file.seek(0)
        lines = len(file.readlines())
    time.sleep(0.002)
    return lines, echo(40)
