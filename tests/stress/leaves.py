"""Writes the measured package: the hand-written modules of `work/` and generated functions with a line for each key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.stress.plan import KEYS

PACKAGE = "stresswork"
WORK = Path(__file__).with_name("work")
# Code that is executed by who is not there any more lies in a file of its own.
STALE = f"{PACKAGE}/stale.py"

# Functions that everybody calls, and that have a line for each key: one function for each place that calls it.
_SHARED = (
    *("plain", "recursion", "in_thread", "in_inner_thread", "in_timer", "in_pool", "in_map", "after", "in_task"),
    *("in_executor", "in_to_thread", "in_generator", "in_loop", "in_loop_task", "across", "called_back"),
    *("handed", "thrown", "closed", "sort_key", "replace", "caught", "cleaned", "handler"),
    *("switched", "returned", "streamed"),
    *("in_greenlet", "in_inner_greenlet", "in_green_pool", "in_native", "in_raw", "beside_raw", "cleaned_up"),
    *("at_the_end",),
    *("awaited", "in_group", "timed_out", "sent", "received", "in_worker", "back_in_loop", "afterwards"),
    *("in_run_sync", "in_session", "in_greenlet_spawn", "in_listener", "in_parameter", "in_function"),
)


@dataclass(frozen=True)
class Measured:
    """The package on disk."""

    root: Path
    # The key that alone reaches a line, by measured path and line.
    keys: dict[tuple[str, int], int]

    def text(self, path: str, line: int) -> str:
        """A line of the source, for people."""
        lines = (self.root / path).read_text(encoding="utf-8").splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else "(no such line)"


def write(root: Path) -> Measured:
    """Write the package below `root`, and the agent's configuration beside it."""
    package = root / PACKAGE
    shutil.copytree(WORK, package, ignore=shutil.ignore_patterns("*.pyi", "__pycache__"))
    modules = {"leaves.py": _leaves(), "stale.py": _stale(), "late.py": _late()}
    keys: dict[tuple[str, int], int] = {}
    for name, lines in modules.items():
        text = []
        for number, (line, key) in enumerate(lines, start=1):
            text.append(line)
            if key is not None:
                keys[f"{PACKAGE}/{name}", number] = key
        (package / name).write_text("\n".join(text) + "\n", encoding="utf-8")
    config = f"[run]\nrelative_files = True\ninclude = {PACKAGE}/*\n"
    (root / "coverage.profile-playback.ini").write_text(config, encoding="utf-8")
    return Measured(root, keys)


# A line of source and the key that it belongs to.
Line = tuple[str, int | None]


def _leaves() -> Iterator[Line]:
    for index, name in enumerate(_SHARED):
        yield from _function(name, index)
    yield "LAMBDAS = [", None
    for key in range(KEYS):
        yield f"    lambda x: x + {key},", key
    yield "]", None
    for key in range(KEYS):
        yield f"def one_line_{key}(x): return x * {key + 2}", key
    yield f"ONE_LINES = [globals()[f'one_line_{{key}}'] for key in range({KEYS})]", None


def _stale() -> Iterator[Line]:
    yield from _function("stale", 3)


def _late() -> Iterator[Line]:
    yield from _function("work", 5)
    yield "class Late:", None
    yield "    made = [number * 2 for number in range(3)]", None
    yield "    def double(self, number): return number * 2", None
    yield "twice = lambda number: Late().double(number)", None
    yield "def result(key): return twice(work(key)) + sum(Late.made)", None


def _function(name: str, index: int) -> Iterator[Line]:
    yield f"def {name}(key):", None
    yield from _branches(0, KEYS, 1, index)


def _branches(low: int, high: int, depth: int, index: int) -> Iterator[Line]:
    """Bisect the keys: a call executes a few shared lines, and one that is its key's."""
    pad = "    " * depth
    if high - low == 1:
        yield f"{pad}return key * {index + 2} + {low}", low
        return
    middle = (low + high) // 2
    yield f"{pad}if key < {middle}:", None
    yield from _branches(low, middle, depth + 1, index)
    yield from _branches(middle, high, depth, index)
