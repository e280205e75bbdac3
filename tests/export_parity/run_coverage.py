"""Runs coverage.py's command line several times, in one process: most of a small report is its start.

Usage: python run_coverage.py <JOBS, a JSON list of {"arguments", "stdout"} on the standard input. It runs in the
current directory, and says `done` after each.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from coverage.cmdline import main
from coverage.parser import PythonParser
from coverage.python import PythonFileReporter


def parse_once() -> None:
    """Have coverage.py parse a file once, and not for each report: it asks its parser the same each time."""
    # A property; typed as what it is anywhere else.
    whole: Any = vars(PythonFileReporter)["parser"]
    known: dict[tuple[str, str], PythonParser] = {}

    def parser(self: Any) -> PythonParser:
        of_what = self.filename, self.coverage._exclude_regex("exclude")
        self._parser = self._parser or known.get(of_what)
        if self._parser is None:
            known[of_what] = whole.fget(self)
            # Only branches are found in it, and it is large.
            known[of_what]._ast_root = None
        return known[of_what]

    setattr(PythonFileReporter, "parser", property(parser))  # noqa: B010 - what is typed as a method is none


def run() -> int:
    """Run all of them; the first that fails ends it."""
    parse_once()
    for job in json.load(sys.stdin):
        with Path(job["stdout"]).open("w", encoding="utf-8") as out, contextlib.redirect_stdout(out):
            status = main(job["arguments"])
        if status:
            print(f"coverage {job['arguments']} ended with {status}", file=sys.stderr)
            return status or 1
        print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run())
