"""A measured process: reads tasks from its standard input, one JSON object a line, and answers each with one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> int:
    """Serve tasks until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way")
    parser.add_argument("work", type=Path)
    given = parser.parse_args()
    # Whatever prints must not print into the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        tasks = prepare(given.way, given.work)
    except Exception as error:  # the driver tells why nothing was measured
        answer({"error": f"{type(error).__name__}: {error}"})
        return 1
    answer({"ready": sys.version})
    for line in sys.stdin:
        task = json.loads(line)
        try:
            value = tasks[task["do"]](**task["with"])
        except Exception as error:  # likewise
            traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"})
        else:
            answer({"value": value})
    return 0


def prepare(way: str, work: Path) -> dict[str, Callable[..., Any]]:
    """Everything that can be asked for, by name."""
    if way.startswith("demo"):
        from .demo import Demo

        return Demo(work).tasks()
    from .bodies import Bodies
    from .tasks import Tasks

    return Tasks(Bodies(way, work)).tasks()


if __name__ == "__main__":
    sys.exit(main())
