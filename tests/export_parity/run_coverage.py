"""Runs coverage.py's command line several times, in one process: most of a small report is its start.

Usage: python run_coverage.py <JOBS, a JSON list of {"arguments", "stdout"} on the standard input. It runs in the
current directory.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from coverage.cmdline import main


def run() -> int:
    """Run all of them; the first that fails ends it."""
    for job in json.load(sys.stdin):
        with Path(job["stdout"]).open("w", encoding="utf-8") as out, contextlib.redirect_stdout(out):
            status = main(job["arguments"])
        if status:
            print(f"coverage {job['arguments']} ended with {status}", file=sys.stderr)
            return status or 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
