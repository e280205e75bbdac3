"""The measured package: generated functions that say after each line how far they are.

A line is one store of its own number into a shared page. The interpreter tells the agent of a line before it executes
it, and of the next one only after it: when the page says `n`, the agent was told of all lines up to `n`, and of `n + 1`
perhaps, but of nothing further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "killwork"
MODULE = f"{PACKAGE}.lines"
PATH = f"{PACKAGE}/lines.py"
CONFIG = "coverage.profile-playback.ini"

# Functions by name: how many, and how many lines each. A map begins with room for two thousand lines and doubles.
SIZES = {"short": (400, 12), "long": (12, 1_500), "huge": (3, 5_000)}


@dataclass(frozen=True)
class Measured:
    """The package on disk."""

    root: Path
    # The lines of each function's body.
    bodies: dict[str, range]

    def steps(self, names: Sequence[str]) -> list[int]:
        """Return the lines that calling these functions executes, in their order. None may come twice."""
        if len(set(names)) != len(names):
            raise ValueError(f"{names}: a function called twice says the same twice")
        return [line for name in names for line in self.bodies[name]]

    def reached(self, names: Sequence[str], line: int) -> int:
        """Return how many of `steps` are known to have been executed when the page says `line`; 0 is none yet.

        Raises:
            ValueError: The line is not one of them.
        """
        return self.steps(names).index(line) + 1 if line else 0


def write(root: Path) -> Measured:
    """Write the package below `root`; one that is there already keeps what was compiled of it."""
    text, bodies = [], {}
    for kind, (count, length) in SIZES.items():
        for number in range(count):
            text.append(f"def {kind}_{number}(cells, cell):")
            first = len(text) + 1
            text += [f"    cells[cell] = {line}" for line in range(first, first + length)]
            bodies[f"{kind}_{number}"] = range(first, first + length)
    files = {
        f"{PACKAGE}/__init__.py": "",
        PATH: "\n".join(text) + "\n",
        CONFIG: f"[run]\nrelative_files = True\ninclude = {PACKAGE}/*\n",
    }
    for name, content in files.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return Measured(root, bodies)
