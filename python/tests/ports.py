"""Ports for servers of tests."""

from __future__ import annotations

import itertools
import os
import random
import socket
from contextlib import suppress

#: Below what Linux (32768 and more) and macOS (49152 and more) use for outgoing connections.
_LEAST, _MOST = 10_000, 32_000
#: Each process has ports of its own, in some order: what another one just chose does not listen yet.
_PROCESSES = 61
_ours = itertools.cycle(
    random.sample(range(_LEAST + os.getpid() % _PROCESSES, _MOST, _PROCESSES), (_MOST - _LEAST) // _PROCESSES)
)


def free_port() -> int:
    """Return a port of the loopback interface that nobody has now.

    None of those that the kernel gives to outgoing connections: one of them could have it before a server listens.
    """
    while True:
        port = next(_ours)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
