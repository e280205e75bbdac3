"""Ports for servers of tests."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

#: Below what Linux (32768 and more) and macOS (49152 and more) use for outgoing connections.
OURS = (10_000, 32_000)


def free_port() -> int:
    """Return a port of the loopback interface that nobody has now.

    None of those that the kernel gives to outgoing connections: one of them could have it before a server listens.
    """
    while True:
        port = random.randrange(*OURS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
