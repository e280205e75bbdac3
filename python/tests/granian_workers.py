"""What granian's log tells of its workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conftest import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path


def wait_for_all(log: Path) -> None:
    """Wait until each worker has begun to serve: granian forgets one that is told to stop before that, and hangs.

    Others answer meanwhile. The log of another server has nothing to wait for.
    """
    end = time.monotonic() + PATIENCE
    while (said := log.read_text()).count("Spawning worker-") > said.count("Started worker-"):
        assert time.monotonic() < end, f"a worker does not begin:\n{said}"
        time.sleep(0.02)
