"""`python -m tests.stress.queues.send QUEUE FILE`: asks that queue for one job for each line of a file."""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import playtrace_agent


def main() -> None:
    """Send as traced work of the profile, the way that an app does: the agent tags the job."""
    queue = importlib.import_module(f"tests.stress.queues.{sys.argv[1]}")
    for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines():
        slug, query = json.loads(line)
        with playtrace_agent.trace(slug, query["run"]) if query["run"] else nullcontext():
            queue.send(query)


if __name__ == "__main__":
    main()
