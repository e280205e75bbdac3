"""A script that traces blocks of its own: `python -m tests.kills.script PLAN`.

The plan is JSON: for each thread a list of blocks, each `[slug, run, piece of work, functions]`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from typing import Any

import playtrace_agent

from tests.kills import page


def _blocks(mapped: page.Page, blocks: Sequence[Sequence[Any]]) -> None:
    for slug, run, work, names in blocks:
        with playtrace_agent.trace(slug, run):
            mapped.do(work, names)


def main() -> None:
    """Do what the plan says."""
    mapped = page.mapped()
    # Two threads take turns in the middle of their functions.
    sys.setswitchinterval(1e-4)
    threads = [threading.Thread(target=_blocks, args=(mapped, blocks)) for blocks in json.loads(sys.argv[1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
